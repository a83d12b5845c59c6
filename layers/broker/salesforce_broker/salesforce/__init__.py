"""Everything that talks to Salesforce, or knows what Salesforce says."""
