"""Talks to a site: credentials, requests, uploads, and the estimated rank of a result."""
