"""The client that callers of the broker install."""
