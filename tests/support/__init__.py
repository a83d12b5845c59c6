"""What several suites share: fresh keys, clocks under control, builders, and fakes at the seams to AWS and Salesforce."""
