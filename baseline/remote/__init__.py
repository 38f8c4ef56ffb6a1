"""Speaking to a site: credentials, requests, uploads, and where a result would stand."""
