"""What is tried in Docker: `make test-system`."""
