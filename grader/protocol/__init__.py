"""The JSON between site and worker, and its strict conversion."""
