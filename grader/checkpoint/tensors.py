"""The expected tensor table: every name, shape and dtype that a config implies, computed before opening any
file.

For unquantized models, the engine detects missing tensors; for quantized ones it does not, and it never detects
extra ones. So the table is computed here and compared with the headers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from grader.checkpoint.architecture import HEAD, Decoder
from grader.checkpoint.finding import problem, several
from grader.checkpoint.quantization.plan import Plan
from grader.checkpoint.quantization.schemes import DENSE, FLOATS, Expected, Scheme
from grader.problems.catalogue import Problem
from grader.protocol.documents import Tensor

_LAYER = re.compile(r"(.+?\.)(\d{1,6})\.")


# Scales of a quantized KV cache below a layer's attention, as the tools name them.
KV_SCALES = ("q_scale", "k_scale", "v_scale", "k_proj.k_scale", "v_proj.v_scale")

_KV_ENDS = tuple(f"attn.{name}" for name in KV_SCALES)


@lru_cache(maxsize=64)
def dense_tensors(decoder: Decoder) -> Mapping[str, Expected]:
    """The table of an unquantized checkpoint, shared by most of a contest's checkpoints. Do not modify it."""
    return expected_tensors(decoder, {})


@lru_cache(maxsize=64)
def decoder_parameters(decoder: Decoder) -> int:
    table = dense_tensors(decoder).values()
    return sum(math.prod(expected.shapes[0]) for expected in table if not expected.optional)


def expected_of(plan: Plan, decoder: Decoder) -> Mapping[str, Expected]:
    """Build the table of a checkpoint. Quantized ones may hold scales of a KV cache, which nobody uses."""
    if not plan.schemes and not plan.kv_ignored and not plan.embedding:
        return dense_tensors(decoder)
    table = expected_tensors(decoder, plan.schemes)
    if plan.embedding and decoder.linears.embedding:
        embedding = decoder.linears.embedding
        del table[decoder.embedding]
        own = plan.embedding.tensors(*embedding.size)
        table |= {f"{embedding.name}.{suffix}": expected for suffix, expected in own.items()}
    scale = Expected(((1,), ()), FLOATS, optional=True)
    parents = (layer.rpartition(".")[0] for layer in decoder.linears if layer != HEAD)
    for attention in dict.fromkeys(parent for parent in parents if parent.endswith("attn")):
        table |= {f"{attention}.{name}": scale for name in KV_SCALES}
    return table


def expected_tensors(decoder: Decoder, schemes: Mapping[str, Scheme]) -> dict[str, Expected]:
    """Build the table for these quantized layers."""
    table: dict[str, Expected] = {}
    alike: dict[
        tuple[int, int, int], dict[str, Expected]
    ] = {}  # shared by equal layers of all blocks
    for layer, (rows, columns) in decoder.linears.items():
        scheme = schemes.get(layer, DENSE)
        key = id(scheme), rows, columns
        if key not in alike:
            alike[key] = scheme.tensors(rows, columns)
        for suffix, expected in alike[key].items():
            table[f"{layer}.{suffix}"] = expected
    table |= decoder.others
    return table


def find_tensor_problems(table: Mapping[str, Expected], tensors: Iterable[Tensor]) -> list[Problem]:
    """Compare the headers with the table."""
    held = {tensor.name: tensor for tensor in tensors}
    missing = [
        name for name, expected in table.items() if not expected.optional and name not in held
    ]
    if missing and (gaps := _misnumbered_layers(table, held)):
        return gaps
    problems = several("WEIGHTS_MISSING", missing)
    problems += several("WEIGHTS_UNEXPECTED", sorted(held.keys() - table.keys()))
    shapes, dtypes = [], []
    for name, expected in table.items():
        tensor = held.get(name)
        if tensor is None:
            continue
        if tensor.shape not in expected.shapes:
            shapes.append(
                problem("WEIGHTS_SHAPE", name, f"{list(tensor.shape)} ≠ {list(expected.shapes[0])}")
            )
        elif tensor.dtype not in expected.dtypes:
            wanted = "/".join(sorted(expected.dtypes))
            dtypes.append(problem("WEIGHTS_DTYPE", name, f"{tensor.dtype} ≠ {wanted}"))
    return problems + shapes + dtypes


def _misnumbered_layers(table: Mapping[str, Expected], held: Iterable[str]) -> list[Problem]:
    """As many layers as there should be, under other numbers: layers were dropped, and the rest kept theirs."""
    optional = {name for name, expected in table.items() if expected.optional}
    required = table.keys() - optional
    numbers = _layer_numbers(name for name in held if name not in optional)
    return [
        problem(
            "WEIGHTS_LAYER_NUMBERS", f"{stem}*", ", ".join(map(str, sorted(numbers[stem])[:20]))
        )
        for stem, expected in _layer_numbers(required).items()
        if stem in numbers and numbers[stem] != expected and len(numbers[stem]) == len(expected)
    ]


def _layer_numbers(names: Iterable[str]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for name in names:
        if layer := _LAYER.match(name):
            found.setdefault(layer[1], set()).add(int(layer[2]))
    return found


def find_unused_scales(plan: Plan, names: Iterable[str]) -> list[Problem]:
    """Scales of a KV cache beside a config that does not ask for one: left over from another run of a tool."""
    if plan.kv_ignored:
        return []
    scales = sorted(name for name in names if name.endswith(_KV_ENDS))
    return [problem("WEIGHTS_KV_SCALES", scales[0], f"{len(scales)}")] if scales else []
