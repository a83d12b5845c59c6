"""The Salesforce Token Broker. docs/architecture.md shows the packages; `bootstrap` builds the objects."""

__version__ = "0.1.0"
