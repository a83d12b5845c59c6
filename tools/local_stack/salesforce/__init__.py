"""A local Salesforce: the JWT bearer flow with its checks, its literal errors and its sessions, on a loopback port.

It verifies what Salesforce verifies (signature against the app's certificate, issuer, audience, user, expiry) and answers as
Salesforce answers, so that a client that works here has done its part. It is no Salesforce: beyond logging in there is
only enough of the REST API to use a token.
"""

from local_stack.salesforce.server import LocalSalesforce
from local_stack.salesforce.world import DEFAULT_CONSUMER_KEY, DEFAULT_USERNAME, App, Org, User, World

__all__ = ["DEFAULT_CONSUMER_KEY", "DEFAULT_USERNAME", "App", "LocalSalesforce", "Org", "User", "World"]
