"""Unpacking the archive of a stranger: which entries it may have, and a strict reader for each format."""
