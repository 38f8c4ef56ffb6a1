"""The box an engine runs in, and the end of everything that was started in it."""
