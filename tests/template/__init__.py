"""template.yaml read as code: what a scanner does not look for."""
