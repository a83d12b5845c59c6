"""Some of the requests once more in the real Lambda runtime, where awslambdaric writes what a function raises."""
