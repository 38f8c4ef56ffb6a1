"""Unpacks untrusted archives: rules for the entries they may contain, and a strict reader for each format."""
