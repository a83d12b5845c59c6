"""Key rotation: creation, certificate upload and activation."""
