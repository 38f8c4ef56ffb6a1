"""Turns a report into a score with its interval, a rank and ties."""
