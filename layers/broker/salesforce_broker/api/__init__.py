"""The wire contract of the token functions: events in, answers out."""
