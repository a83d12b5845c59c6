"""A local Salesforce: the JWT bearer flow with its checks, its literal errors and its sessions, on loopback addresses.

It verifies what Salesforce verifies (signature, issuer, audience, user, expiry, permission, address) and answers as Salesforce
answers. `local-salesforce` runs it from a shell; `local_salesforce` and `salesforce_key` are its pytest fixtures.
"""

from local_salesforce import key_material
from local_salesforce.faults import Fault
from local_salesforce.key_material import KeyMaterial
from local_salesforce.server import LocalSalesforce
from local_salesforce.switches import Switches
from local_salesforce.world import (
    DEFAULT_ADMIN_USERNAME,
    DEFAULT_CONNECTED_APP_KEY,
    DEFAULT_CONSUMER_KEY,
    DEFAULT_SANDBOX_KEY,
    DEFAULT_SANDBOX_USERNAME,
    DEFAULT_USERNAME,
    App,
    Org,
    Profile,
    User,
    World,
)

__version__ = "0.1.0"

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
    "key_material",
]
