"""Turns ``quantization_config`` into one scheme per layer, as the engine will see it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from grader.checkpoint.architecture import Linears
from grader.checkpoint.finding import display, problem, refuse
from grader.checkpoint.quantization.awq import read_awq
from grader.checkpoint.quantization.converted import READ_AS, asks_for_kv_cache, converted
from grader.checkpoint.quantization.fp8 import read_fp8
from grader.checkpoint.quantization.fused import is_fused
from grader.checkpoint.quantization.gptq import read_gptq
from grader.checkpoint.quantization.modelopt import read_modelopt
from grader.checkpoint.quantization.reading import WHERE, Reading
from grader.checkpoint.quantization.schemes import Scheme
from grader.checkpoint.quantization.targets import read_compressed
from grader.checkpoint.strictjson import Json
from grader.contest import CheckpointRules
from grader.problems.catalogue import Problem

# mxfp4 is not among them: the engine only has it for experts and would leave dense layers unquantized.
_READERS: Mapping[str, Callable[[Json, Linears, Collection[str]], Reading]] = {
    "compressed-tensors": read_compressed,
    "gptq": read_gptq,
    "awq": read_awq,
    "fp8": read_fp8,
    "modelopt": read_modelopt,
}
# Allowed wherever the other one is, whose kernels it runs on.
_ALLOWED_WITH = {"modelopt": "compressed-tensors"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How every layer is quantized.

    Attributes:
        schemes: quantized layer -> scheme; other layers are dense.
        kv_ignored: the config requests a KV-cache scheme, which is dropped.
        config: quantization_config as the engine gets it: no other keys, no KV-cache scheme, no default.
        unread: keys that were dropped.
        embedding: scheme of the input embedding, if it is quantized.
    """

    schemes: Mapping[str, Scheme]
    kv_ignored: bool = False
    config: Json | None = None
    unread: tuple[str, ...] = ()
    embedding: Scheme | None = None

    def words(self, dtype: str) -> str:
        """``W4A16 g128``, ``W4A16 g64 + W8A8``; the plain dtype when nothing is quantized."""
        names = dict.fromkeys(scheme.words for scheme in self.schemes.values())
        plain = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}
        return " + ".join(names) or plain.get(dtype, dtype)


def read_plan(
    config: Json | None, rules: CheckpointRules, linears: Linears, held: Collection[str]
) -> Plan:
    """Build the plan for a quantization_config (``None``: nothing is quantized).

    Args:
        linears: the model's linear layers with (rows, columns).
        held: tensor names in the files, which show GPTQ's quantized layers.

    Raises:
        Refused: QUANT_*.
    """
    if config is None:
        return Plan({})
    if not isinstance(config, dict):
        raise refuse("QUANT_SYNTAX", WHERE, type(config).__name__)
    method, where = config.get("quant_method"), f"{WHERE}.quant_method"
    allowed = rules.quant_methods
    if not isinstance(method, str) or not {method, *READ_AS.get(method, ())} & set(allowed):
        raise refuse("QUANT_UNSUPPORTED", where, f"{method} ∉ {', '.join(allowed)}")
    unread: list[str] = []
    meant = converted(config, linears, unread)
    kind = meant["quant_method"]
    counts_as = _ALLOWED_WITH.get(kind, kind)
    if {method, counts_as}.isdisjoint(allowed):
        raise refuse("QUANT_UNSUPPORTED", where, f"{counts_as} ∉ {', '.join(allowed)}")
    if kind not in _READERS:
        raise refuse("QUANT_UNSUPPORTED", where, f"{method} → compressed-tensors")
    reading = _READERS[kind](meant, linears, held)
    kv_ignored = reading.has_attention or asks_for_kv_cache(config)
    if kv_ignored and rules.kv_cache_scheme == "refuse":
        raise refuse("QUANT_KV_NOT_ALLOWED", f"{WHERE}.kv_cache_scheme")
    for layer, scheme in reading.schemes.items():
        _refuse_misfit(layer, scheme, linears[layer], is_fused(layer, linears))
    if reading.embedding and linears.embedding:
        _refuse_misfit(linears.embedding.name, reading.embedding, linears.embedding.size, False)
    return Plan(
        reading.schemes, kv_ignored, reading.config, (*unread, *reading.unread), reading.embedding
    )


def find_quantization_notices(plan: Plan) -> list[Problem]:
    found = [problem("QUANT_KV_IGNORED", f"{WHERE}.kv_cache_scheme")] if plan.kv_ignored else []
    if plan.unread:
        found.append(problem("QUANT_IGNORED_KEY", WHERE, display(", ".join(plan.unread[:20]))))
    return found


def _refuse_misfit(layer: str, scheme: Scheme, size: tuple[int, int], fused: bool) -> None:
    """Find widths that the engine cannot divide into the scheme's groups."""
    rows, columns = size
    step = {"mx": 32, "nvfp4": 16}.get(scheme.layout, scheme.group_size or 1)
    if columns % step:
        raise refuse("QUANT_GROUP_SIZE", layer, f"{columns} % {step} = {columns % step}")
    if scheme.layout in ("gptq", "awq") and (columns * scheme.bits % 32 or rows * scheme.bits % 32):
        raise refuse("QUANT_GROUP_SIZE", layer, f"{rows} × {columns}")
    if scheme.modelopt and scheme.block != (0, 0) and columns % scheme.block[1]:
        raise refuse("QUANT_GROUP_SIZE", layer, f"{columns} % {scheme.block[1]}")
    block = scheme.block[0]
    if block and fused and rows % block:
        raise refuse("QUANT_GROUP_SIZE", layer, f"{rows} % {block} = {rows % block}")
