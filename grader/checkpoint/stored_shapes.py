"""Shapes stored as data: ``weight_shape`` of packed weights says what the packed tensor's own shape cannot."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

from grader.checkpoint.architecture import Decoder
from grader.checkpoint.finding import problem
from grader.checkpoint.quantization.plan import Plan
from grader.checkpoint.scan import read_small
from grader.problems.catalogue import Problem
from grader.protocol.documents import Tensor

_FORMATS = {"I64": "<2q", "I32": "<2i"}


def find_false_shapes(
    plan: Plan, decoder: Decoder, files: Mapping[Path, tuple[Tensor, ...]]
) -> list[Problem]:
    """Compare every ``weight_shape`` with the layer it describes.

    The engine does not read them, so a false one changes no answer; but whoever unpacks the weights by it, as
    the comparison with the base model does, would see nothing.
    """
    sizes = {f"{layer}.weight_shape": size for layer, size in decoder.linears.items()}
    if plan.embedding and (embedding := decoder.linears.embedding):
        sizes[f"{embedding.name}.weight_shape"] = embedding.size
    found = []
    for name, (dtype, data) in read_small(sizes, files).items():
        stored = struct.unpack(_FORMATS[dtype], data)
        if stored != tuple(sizes[name]):
            found.append(
                problem("QUANT_WEIGHT_SHAPE", name, f"{list(stored)} ≠ {list(sizes[name])}")
            )
    return found
