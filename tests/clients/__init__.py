"""Clients that nobody here wrote, at the local Salesforce: `make test-clients`."""
