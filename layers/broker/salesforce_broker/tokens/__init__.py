"""Which token a request gets: authorization, refresh, caches and audit."""
