"""Entering a checkpoint by any route, and reading its results."""
