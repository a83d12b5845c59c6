"""Unit tests of `operations`."""
