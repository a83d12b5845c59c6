"""Unit tests of `salesforce`."""
