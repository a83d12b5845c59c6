"""The two transports to the broker."""
