"""Compares the checker with the engine's own configuration classes: every difference has a name."""
