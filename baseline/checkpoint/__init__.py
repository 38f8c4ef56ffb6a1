"""Checkpoints on disk and on the Hub: reading, checking, packing, and writing them atomically."""
