"""A local Salesforce: the JWT bearer flow with its checks, its literal errors and its sessions, on loopback ports.

It verifies what Salesforce verifies (signature against the app's certificate, issuer, audience, user, expiry) and answers as
Salesforce answers, so that a client that works here has done its part. docs/local-salesforce.md tells what it does, how it is
used alone (`python -m local_stack.salesforce`, or as a pytest plugin), and what nobody outside Salesforce knows.
"""

from local_stack.salesforce.faults import Fault
from local_stack.salesforce.key_material import KeyMaterial
from local_stack.salesforce.server import LocalSalesforce
from local_stack.salesforce.world import (
    DEFAULT_ADMIN_USERNAME,
    DEFAULT_CONNECTED_APP_KEY,
    DEFAULT_CONSUMER_KEY,
    DEFAULT_SANDBOX_KEY,
    DEFAULT_SANDBOX_USERNAME,
    DEFAULT_USERNAME,
    App,
    Org,
    Profile,
    Switches,
    User,
    World,
)

__all__ = [
    "DEFAULT_ADMIN_USERNAME",
    "DEFAULT_CONNECTED_APP_KEY",
    "DEFAULT_CONSUMER_KEY",
    "DEFAULT_SANDBOX_KEY",
    "DEFAULT_SANDBOX_USERNAME",
    "DEFAULT_USERNAME",
    "App",
    "Fault",
    "KeyMaterial",
    "LocalSalesforce",
    "Org",
    "Profile",
    "Switches",
    "User",
    "World",
]
