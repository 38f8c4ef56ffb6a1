"""The checker beside the engine's own configuration classes: every difference has a name."""
