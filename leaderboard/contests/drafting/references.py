"""The references that a contest's hardware can run, by the same rules as entries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.quantization.kernels import find_kernel_problems
from grader.checkpoint.quantization.plan import Plan
from grader.checkpoint.quantization.schemes import Scheme
from grader.contest import Hardware
from grader.problems.catalogue import CATALOGUE
from grader.text import Text

_W8A8 = Scheme("stored", 8, "int", inputs="dynamic", input_bits=8, input_kind="int")
_FP8 = Scheme("stored", 8, inputs="dynamic", input_bits=8)
GROUP_SIZES = (128, 64, 32)  # the recipe's own first


def choose(linears: Linears, hardware: Hardware) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """``[[references]]``, and the reason for each recipe that is left out."""
    chosen: list[dict[str, Any]] = []
    left_out: dict[str, str] = {}
    method = "gptq" if hardware.compute_capability else "rtn"  # GPTQ takes hours on a CPU
    layers = {name for name in linears if name != HEAD and not _is_dense(name, linears)}
    for recipe, scheme, title, options in _candidates(method, linears, layers):
        why = "EXPERTS_IN_ONE_TENSOR" if linears.stacked else ""
        if not why and scheme is None:
            why = "no group size divides every width"
        if not why and scheme is not None:
            plan = Plan(dict.fromkeys(layers, scheme))
            found = find_kernel_problems(plan, linears, hardware)
            why = "; ".join(
                f"{p.code}, {CATALOGUE[p.code].sentence.en}".rstrip(".") for p in found[:1]
            )
        if why:
            left_out[recipe] = why
        else:
            table: dict[str, Any] = {"recipe": recipe, "title": title}
            chosen.append({**table, "options": options} if options else table)
    return chosen, left_out


def _candidates(
    method: str, linears: Linears, layers: set[str]
) -> Iterator[tuple[str, Scheme | None, Text, dict[str, str]]]:
    yield f"w8a8-{method}", _W8A8, Text("Reference W8A8", "참고 모델 W8A8"), {}
    fits = (g for g in GROUP_SIZES if all(linears[name][1] % g == 0 for name in layers))
    group_size = next(fits, 0)
    four_bits = Scheme("pack", 4, "int", "group", group_size) if group_size else None
    options = {} if group_size in (0, GROUP_SIZES[0]) else {f"{method}.group_size": str(group_size)}
    yield f"w4a16-{method}", four_bits, Text("Reference W4A16", "참고 모델 W4A16"), options
    yield "fp8-dynamic", _FP8, Text("Reference FP8", "참고 모델 FP8"), {}


def _is_dense(name: str, linears: Linears) -> bool:
    """Routers, which no recipe quantizes."""
    return name.rpartition(".")[2] in linears.engine.dense
