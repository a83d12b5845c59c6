"""The suites, by cost: unit, template, local_salesforce, integration."""
