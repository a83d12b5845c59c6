"""The data APIs: REST, SOQL, records in memory, and the Metadata API's deployment of a certificate."""
