"""What nobody thought of."""
