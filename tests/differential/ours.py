"""The checker's side: what ``baseline check`` makes of a config, for a contest on a CPU."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from grader.checkpoint.architecture import Linears
from grader.checkpoint.finding import Refused
from grader.checkpoint.quantization.kernels import find_kernel_problems
from grader.checkpoint.quantization.plan import read_plan
from grader.checkpoint.strictjson import Json
from grader.contest import CheckpointRules, Hardware
from grader.gallery.tiny import CONFIG, tiny_architecture
from grader.problems.catalogue import CATALOGUE, Fault

RULES = CheckpointRules(
    config_may_differ=("quantization_config",),
    quant_methods=("compressed-tensors", "gptq", "awq", "fp8", "mxfp4"),
    kv_cache_scheme="ignore",
)
CPU = Hardware("CPU", 0.0)
_ALWAYS_DENSE = (
    "model.embed_tokens.weight", "model.norm.weight", "model.layers.0.self_attn.q_norm.weight",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """A quantization_config for a decoder with :data:`CONFIG`'s widths.

    Attributes:
        dense: parts of names of layers whose files hold no ``qweight``.
        packed: tensors beside those of the linear layers: of a quantized embedding or head.
    """

    id: str
    quantization: Json
    layers: int = 2
    vocab: int = CONFIG["vocab_size"]
    untied: bool = False
    dense: tuple[str, ...] = ()
    packed: tuple[str, ...] = ()

    def linears(self) -> Linears:
        changes: Json = {"num_hidden_layers": self.layers, "tie_word_embeddings": not self.untied}
        changes |= {"layer_types": ["full_attention"] * self.layers, "vocab_size": self.vocab}
        return tiny_architecture(self.vocab).decoder(CONFIG | changes).linears

    def held(self) -> list[str]:
        """Tensors of quantized layers in the files; the head has none unless ``packed`` names it."""
        dense = (*self.dense, "lm_head")
        layers = [layer for layer in self.linears() if not any(part in layer for part in dense)]
        return [*(f"{layer}.qweight" for layer in layers), *self.packed]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``refused``: the reason, or empty; ``layers``: quantized layer -> (bits, group size).

    If only the device lacks a kernel, ``layers`` is set too.
    """

    refused: str
    layers: dict[str, tuple[int, int]]


def judge(case: Case) -> tuple[Verdict, Json]:
    """Return (the checker's verdict, the config the engine gets: rewritten if it was accepted)."""
    given: Json = json.loads(json.dumps(case.quantization))
    linears = case.linears()
    held = set(case.held())
    try:
        plan = read_plan(given, RULES, linears, held)
    except Refused as refused:
        (found,) = refused.problems
        return Verdict(f"{found.code} {found.where}: {found.detail}", {}), given
    rebuilt = plan.config or given
    schemes = {**plan.schemes}
    if plan.embedding and linears.embedding:
        schemes[linears.embedding.name] = plan.embedding
    layers = {name: (s.bits, s.group_size) for name, s in schemes.items()}
    for found in find_kernel_problems(plan, linears, CPU):
        if CATALOGUE[found.code].fault is not Fault.NOTICE:
            return Verdict(f"{found.code}: {found.detail}", layers), rebuilt
    return Verdict("", layers), rebuilt


def for_engine(case: Case, quantization: Json) -> dict[str, Any]:
    """What the engine's half reads."""
    held = case.held()
    dense = [f"{layer}.weight" for layer in case.linears() if f"{layer}.qweight" not in held]
    return {
        "id": case.id,
        "quantization": quantization,
        "layers": case.layers,
        "untied": case.untied,
        "held": held,
        "dense": [*dense, *(name for name in _ALWAYS_DENSE if f"{name}_packed" not in held)],
        "hidden": CONFIG["hidden_size"],
        "inner": CONFIG["intermediate_size"],
        "vocab": case.vocab,
    }
