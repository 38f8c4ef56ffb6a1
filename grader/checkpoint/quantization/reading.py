"""What became of a ``quantization_config``: schemes for us, and a config for the engine that means the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from grader.checkpoint.architecture import HEAD, Linears
from grader.checkpoint.finding import refuse
from grader.checkpoint.quantization import patterns
from grader.checkpoint.quantization.schemes import Scheme
from grader.checkpoint.strictjson import Json

WHERE = "quantization_config"
VOCAB_PADDING = 64  # of the engine


@dataclass(frozen=True, slots=True)
class Reading:
    """A config that was understood.

    Attributes:
        schemes: quantized layer -> scheme.
        config: what the engine gets. Reading it again gives the same.
        unread: keys that were dropped because the engine does not read them.
        embedding: scheme of the input embedding, if it is quantized.
        has_attention: whether attention or the KV cache was to be quantized too.
    """

    schemes: dict[str, Scheme]
    config: Json
    unread: tuple[str, ...] = ()
    embedding: Scheme | None = None
    has_attention: bool = False


def layer_names(value: Any) -> tuple[str, ...]:
    """Layer names of a list, or of a list of lists as GPTQ writes it."""
    if value is None:
        return ()
    flat: list[Any] = []
    for item in value if isinstance(value, list) else [None]:
        flat += item if isinstance(item, list) else [item]
    fits = all(isinstance(item, str) and 0 < len(item) <= patterns.MAX_LENGTH for item in flat)
    if not fits or len(flat) > patterns.MAX_PATTERNS:
        raise refuse("QUANT_SYNTAX", WHERE, "layer names")
    return tuple(flat)


def refuse_padded_head(linears: Linears) -> None:
    """The engine pads the head to a multiple of 64 rows and then loads only such weights as have rows first."""
    rows, _ = linears[HEAD]
    if rows % VOCAB_PADDING:
        raise refuse("QUANT_LM_HEAD", HEAD, f"{rows} % {VOCAB_PADDING} = {rows % VOCAB_PADDING}")
