"""Tiny base models, contests and checkpoints for tests (the gallery's workbench), and large files."""

from __future__ import annotations

import json
import math
import os
import struct
from pathlib import Path

from grader.checkpoint.base import base_architecture, base_config
from grader.checkpoint.tensors import dense_tensors
from grader.contest import Contest
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
    "write_full_size",
    "write_random_safetensors",
]


def write_full_size(folder: Path, contest: Contest) -> Path:
    """The contest's base model in bf16 as a sparse file: the real header over gigabytes that occupy nothing."""
    config = (contest.base_folder / "config.json").read_bytes()
    table = dense_tensors(base_architecture(contest).decoder(base_config(contest)))
    entries, at = {}, 0
    for name, expected in table.items():
        if not expected.optional:
            dims = list(expected.shapes[0])
            end = at + 2 * math.prod(dims)
            entries[name] = {"dtype": "BF16", "shape": dims, "data_offsets": [at, end]}
            at = end
    head = json.dumps(entries).encode()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_bytes(config)
    weights_file = folder / "model.safetensors"
    with weights_file.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        file.truncate(8 + len(head) + at)
    return weights_file


def write_random_safetensors(path: Path, size_bytes: int) -> Path:
    """Real data: bf16 tensors of 16 MiB each with finite random values."""
    block = bytearray(os.urandom(16 * 1024**2))
    block[1::2] = b"\x3c" * (len(block) // 2)
    count = size_bytes // len(block)
    entries = {
        f"t{i}": {
            "dtype": "BF16",
            "shape": [len(block) // 2],
            "data_offsets": [i * len(block), (i + 1) * len(block)],
        }
        for i in range(count)
    }
    head = json.dumps(entries).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for _ in range(count):
            file.write(block)
    return path
