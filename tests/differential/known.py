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


_STRICT: Kind = "refused, engine runs"
_ELSEWHERE: Kind = "refused, a GPU may run it"
_ANY = ""
_NO_KERNEL = "layer: ValueError: Failed to find a kernel that can implement the "

KNOWN: tuple[Known, ...] = (
    # Refused. The engine reads it but has no kernel for it on a CPU.
    Known(
        "output-activations", _ELSEWHERE, r"QUANT_UNSUPPORTED \S+\.output_activations", _ANY,
        "stricter on purpose: the engine keeps one output scale for a fused layer, whichever is read last",
    ),
    Known(
        "part-of-fused-layer-on-a-gpu", _ELSEWHERE, "QUANT_FUSED", _ANY,
        "stricter on purpose: the parts are stored differently and the engine would read them alike",
    ),
    Known(
        "fp8-int-activations", _ELSEWHERE, r"QUANT_UNSUPPORTED \S+: \S+: float8 \S+ × int", _ANY,
        "stricter on purpose: the engine takes it for FP8 without activations and drops what the config says",
    ),
    Known(
        "block-of-odd-size", _ELSEWHERE, r"QUANT_(RANGE|GROUP_SIZE) ", f"{_NO_KERNEL}ScaledMM",
        "stricter on purpose: the engine's block kernels are made for powers of two, and a block that"
        " two parts of a fused layer share would get the scale of one of them",
    ),
    Known(
        "nvfp4-groups-of-other-sizes", _ELSEWHERE, r"QUANT_RANGE \S+\.group_size: \d+ ∉ \[16, 16\]", _ANY,
        "stricter on purpose: the engine's kernels are made for groups of 16 and would misread others",
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
        "stricter on purpose: the parts are stored differently and the engine would read them alike",
    ),
    Known(
        "scheme-for-nothing", _STRICT, "QUANT_UNSUPPORTED", "$",
        "stricter on purpose: nothing is quantized, and what the config says cannot be run",
    ),
)  # fmt: skip
