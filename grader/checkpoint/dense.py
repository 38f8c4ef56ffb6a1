"""Recovers the model behind a checkpoint: each layer as it was before quantization, however it is stored."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from typing import Any

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.engine_layers import engine_layers
from grader.checkpoint.strictjson import Json
from grader.protocol.documents import Tensor

# Last part of the names of layers that choose experts: tiny, and everything depends on them.
ROUTERS = ("gate", "router", "shared_expert_gate")

_IN_A_LAYER = re.compile(r".+?\.\d+\..+")
_PACKED = (".weight_packed", ".qweight")


def dense_shapes(config: Json, tensors: Iterable[Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of the unquantized model, without scales and zero points."""
    found = {tensor.name: tensor for tensor in tensors}
    widths = _widths(config.get("quantization_config"))
    shapes: dict[str, tuple[int, ...]] = {}
    for name, tensor in found.items():
        layer, _, leaf = name.rpartition(".")
        if f".{leaf}" in _PACKED and len(tensor.shape) == 2:
            scale = found.get(f"{layer}.weight_scale")
            groups = scale.shape if scale else None
            shapes[f"{layer}.weight"] = _unpacked(tensor, groups, widths, config)
        elif leaf in ("weight", "bias") or not name.endswith(SIDE):
            shapes[name] = tensor.shape
    if config.get("tie_word_embeddings") is True:
        shapes.pop(f"{HEAD}.weight", None)  # a second copy
    return shapes


def linears_of(architecture: str, shapes: dict[str, tuple[int, ...]]) -> Linears:
    """Find the linear layers of a model for which no contest provides a base model."""
    engine = engine_layers(architecture)
    sizes = {
        layer: (shape[0], shape[1])
        for name, shape in shapes.items()
        if len(shape) == 2 and name.endswith(".weight")
        for layer in [name.removesuffix(".weight")]
        if layer == HEAD or _IN_A_LAYER.fullmatch(name)
        if layer.rpartition(".")[2] not in engine.dense
    }
    experts = (name.partition(".experts.") for name, shape in shapes.items() if len(shape) == 3)
    stacked = dict.fromkeys(f"{before}.experts" for before, dot, _ in experts if dot)
    return Linears(sizes, engine, tuple(stacked))


def parameters_of(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(map(math.prod, shapes.values()))


# Suffixes of the tensors a quantizer stores alongside the weights.
SIDE = (
    "_scale", "_scale_inv", "_zero_point", "_g_idx", ".g_idx", ".scales", ".qzeros", ".weight_shape",
    ".k_scale", ".v_scale",
)  # fmt: skip


def _widths(quantization: Any) -> list[tuple[int, int]]:
    """Return (bits, group size) of every scheme in a quantization_config; group size 0 means one scale per
    channel.
    """
    if not isinstance(quantization, dict):
        return []
    groups = quantization.get("config_groups")
    said = [g.get("weights") for g in _tables(groups.values())] if isinstance(groups, dict) else []
    found = [(w.get("num_bits"), w.get("group_size")) for w in _tables(said)]
    found.append((quantization.get("bits") or quantization.get("w_bit"), 0))
    return [
        (bits, size if type(size) is int and size > 0 else 0)
        for bits, size in found
        if type(bits) is int and 1 <= bits <= 8
    ]


def _tables(values: Iterable[Any]) -> list[Json]:
    return [value for value in values if isinstance(value, dict)]


def _unpacked(
    tensor: Tensor,
    scale: tuple[int, ...] | None,
    widths: Collection[tuple[int, int]],
    config: Json,
) -> tuple[int, int]:
    rows, columns = tensor.shape
    if tensor.dtype == "U8":  # two 4-bit values per byte
        return rows, 2 * columns
    bits = next((bits for bits, _ in widths), 4)
    if tensor.name.endswith(".qweight"):
        quantization = config.get("quantization_config")
        method = quantization.get("quant_method") if isinstance(quantization, dict) else ""
        per_word = 32 // bits
        return (columns * per_word, rows) if method == "awq" else (columns, rows * per_word)
    for bits, size in widths:
        inputs = columns * 32 // bits
        groups = -(-inputs // size) if size else 1
        if scale is None or scale[-1:] == (groups,):
            return rows, inputs
    return rows, columns * 32 // bits
