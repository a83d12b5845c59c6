"""Tokens in other people's HTTP clients."""
