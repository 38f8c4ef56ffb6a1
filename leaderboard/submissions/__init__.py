"""Entering a checkpoint, by whichever way, and what is told of it."""
