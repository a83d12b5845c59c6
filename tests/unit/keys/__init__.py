"""Unit tests of `keys`."""
