"""The rooms of the Salesforce token broker; README.md and docs/ show the house, `wiring` builds it."""

__version__ = "0.1.0"
