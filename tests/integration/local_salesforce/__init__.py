"""The local Salesforce's own tests."""
