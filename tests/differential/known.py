"""All known differences between the checker and the engine, most harmful first: those that cost a team an
entry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal[
    "accepted, engine refuses",
    "read differently",
    "refused, engine runs",
    "refused, a GPU may run it",
]


class _Difference(Protocol):
    @property
    def kind(self) -> Kind: ...
    @property
    def ours(self) -> str: ...
    @property
    def engine(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Known:
    """One explained difference.

    Attributes:
        ours, engine: expressions that the two verdicts start with.
        reason: ``stricter on purpose: …`` or ``not yet: …``.
    """

    name: str
    kind: Kind
    ours: str
    engine: str
    reason: str

    def explains(self, difference: _Difference) -> bool:
        return (
            difference.kind == self.kind
            and re.match(self.ours, difference.ours) is not None
            and re.match(self.engine, difference.engine) is not None
        )


_LAX: Kind = "accepted, engine refuses"
_APART: Kind = "read differently"
_STRICT: Kind = "refused, engine runs"
_ELSEWHERE: Kind = "refused, a GPU may run it"
_ANY = ""
_NO_KERNEL = "layer: ValueError: Failed to find a kernel that can implement the "

KNOWN: tuple[Known, ...] = (
    # Accepted, and a grade is wasted on it.
    Known(
        "embedding-by-pattern-tied", _LAX, _ANY,
        "layer: AttributeError: 'VocabParallelEmbedding' object has no attribute 'weight'",
        "not yet: the embedding is asked about under an empty name, which re:.* matches, as is its class;"
        " a tied head then finds no weight",
    ),
    Known(
        "embedding-by-pattern-scheme", _LAX, _ANY,
        "layer: ValueError: compressed-tensors embeddings only support weight-only INT",
        "not yet: as above, with a scheme that the engine has for no embedding",
    ),
    # Read differently: the tensor table expects other tensors than the engine.
    Known(
        "embedding-by-pattern-untied", _APART, r"16 bit model\.embed_tokens \(\+0\)$", r"\d bit",
        "not yet: a pattern or class that selects the embedding is read as if it did not",
    ),
    Known(
        "fp8-fused-name", _APART, r"8 bit model\.layers\.0\.self_attn\.k_proj \(\+2\)$", "16 bit",
        "not yet: the engine leaves dense what modules_to_not_convert names as it fuses it (qkv_proj)",
    ),
    # Refused, although the engine runs it as the team intends.
    Known(
        "sparsity-dense", _STRICT, "QUANT_SPARSITY", r"\d bit",
        "not yet: a sparsity_config without targets does nothing",
    ),
    Known(
        "bookkeeping", _STRICT,
        r"QUANT_SYNTAX quantization_config\.(hyb_act|groupsize|act_group_aware|scale_fmt)", r"\d bit",
        "not yet: keys that only the tool reads should be dropped with a notice",
    ),
    Known(
        "attention-group", _STRICT, r"QUANT_UNSUPPORTED \S+\.attention\.weights: null", r"\d bit",
        "not yet: the engine skips a group whose only target is attention",
    ),
    Known(
        "capital-letters", _STRICT, r"QUANT_UNSUPPORTED \S+\.weights\.type: INT$", r"\d bit",
        "not yet: compressed-tensors reads type and strategy in either case",
    ),
    Known(
        "gptq-dynamic", _STRICT, r"QUANT_UNSUPPORTED quantization_config\.dynamic", r"\d bit",
        "not yet: GPTQModel's rules for single layers",
    ),
    Known(
        "quantized-head", _STRICT, r"QUANT_LM_HEAD", r"\d bit",
        "not yet: quantized heads of GPTQ and AWQ",
    ),
    Known(
        "autoround", _STRICT,
        r"QUANT_UNSUPPORTED quantization_config\.quant_method: auto-round ", r"\d bit",
        "not yet: AutoRound's own method, whose tensors are GPTQ's; no contest can list it",
    ),
    Known(
        "awq-symmetric", _STRICT, "QUANT_UNSUPPORTED quantization_config: awq, 4, gemm$", "4 bit",
        "not yet: AWQ without zero points",
    ),
    # Refused. The engine reads it but has no kernel for it on a CPU.
    Known(
        "modelopt-fp8", _ELSEWHERE, r"QUANT_UNSUPPORTED quantization_config\.quant_method: modelopt ", _ANY,
        "not yet: ModelOpt's own method, whose tensors are FP8's; no contest can list it",
    ),
    Known(
        "block-structure-text", _ELSEWHERE, r"QUANT_SYNTAX \S+\.block_structure: str", _ANY,
        "not yet: compressed-tensors reads block_structure as text too",
    ),
    Known(
        "output-activations", _ELSEWHERE, r"QUANT_UNSUPPORTED \S+\.output_activations", _ANY,
        "not yet: the engine has a scheme for static int8 outputs",
    ),
    Known(
        "gptq-dynamic-8-bit", _ELSEWHERE, r"QUANT_UNSUPPORTED quantization_config\.dynamic", _ANY,
        "not yet: GPTQModel's rules that give single layers 8 bits",
    ),
    Known(
        "bookkeeping-deepseek", _ELSEWHERE, r"QUANT_SYNTAX quantization_config\.scale_fmt", _ANY,
        "not yet: the method fp8 does not read scale_fmt; it should be dropped with a notice",
    ),
    Known(
        "fp8-int-activations", _ELSEWHERE, r"QUANT_UNSUPPORTED \S+: \S+: float8 \S+ × int", _ANY,
        "stricter on purpose: the engine takes it for FP8 without activations and drops what the config says",
    ),
    Known(
        "block-of-odd-size", _ELSEWHERE, r"QUANT_(RANGE|GROUP_SIZE) ", f"{_NO_KERNEL}ScaledMM",
        "stricter on purpose: blocks are powers of two and divide each part of a fused layer",
    ),
    # Refused because the engine runs something other than what the config says.
    Known(
        "awq-other-packing", _STRICT, "QUANT_UNSUPPORTED quantization_config: awq, 4, (gemv|marlin)", "4 bit",
        "stricter on purpose: the engine ignores version and would read another order of values",
    ),
    Known(
        "gptq-other-packing", _STRICT, r"QUANT_UNSUPPORTED \S+\.checkpoint_format: marlin", r"\d bit",
        "stricter on purpose: the engine ignores checkpoint_format and would read another layout",
    ),
    Known(
        "types-not-compared", _STRICT,
        r"QUANT_UNSUPPORTED \S+: \S+: (int8 \S+ × float8|float\d .* × float8|float4 .* × -)", r"\d bit",
        "stricter on purpose: the engine compares widths only and would run float as int, or other bits as FP8",
    ),
    Known(
        "part-of-fused-layer", _STRICT, "QUANT_FUSED", _ANY,
        "stricter on purpose: the engine never asks for a part of a fused layer and would leave it dense",
    ),
    Known(
        "scheme-for-nothing", _STRICT, "QUANT_UNSUPPORTED", "$",
        "stricter on purpose: nothing is quantized, and what the config says cannot be run",
    ),
)  # fmt: skip
