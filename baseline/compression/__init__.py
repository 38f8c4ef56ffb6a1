"""From a recipe and a model to a smaller checkpoint."""
