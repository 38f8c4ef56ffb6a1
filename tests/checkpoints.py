"""Tiny base models, contests and checkpoints for tests: the gallery's workbench under one name."""

from __future__ import annotations

from grader.gallery.case import Bench
from grader.gallery.tiny import CONFIG, Raw, checkpoint, header, safetensors, tiny_contest, weights

__all__ = [
    "CONFIG",
    "Bench",
    "Raw",
    "checkpoint",
    "header",
    "safetensors",
    "tiny_contest",
    "weights",
]
