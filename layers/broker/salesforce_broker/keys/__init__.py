"""The signing key: where it comes from and how it signs."""
