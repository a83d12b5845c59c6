"""The product on one machine: AWS (moto), a local Salesforce, the real Lambda runtime and a small HTTP gateway."""
