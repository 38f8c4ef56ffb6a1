"""Checkpoints on this disk and on the Hub: read, checked, packed, and written whole or not at all."""
