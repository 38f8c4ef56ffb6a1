"""The sandbox an engine runs in, and the cleanup of everything that was started in it."""
