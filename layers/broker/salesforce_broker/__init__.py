"""The Salesforce Token Broker. docs/architecture.md shows the packages; `bootstrap` builds the objects."""

import gc

__version__ = "0.1.0"

# Imports allocate hundreds of thousands of objects and free next to none: at the default threshold the collector looks through
# them dozens of times during a cold start. Garbage with cycles is still collected, later.
gc.set_threshold(100_000, 50, 100)
