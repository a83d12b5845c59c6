"""Tokens of the broker in other people's HTTP clients, one module for each; each needs the extra of its name."""
