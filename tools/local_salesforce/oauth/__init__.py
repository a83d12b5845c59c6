"""The OAuth endpoints: the token endpoint with its checks, and the endpoints around a session."""
