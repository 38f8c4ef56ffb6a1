"""Turns a recipe and a model into a smaller checkpoint."""
