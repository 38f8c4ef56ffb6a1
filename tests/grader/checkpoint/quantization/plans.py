"""What the checker makes of a quantization_config over a model of the gallery's sizes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from grader.checkpoint.architecture import Decoder
from grader.checkpoint.finding import Refused
from grader.checkpoint.quantization.plan import Plan, read_plan
from grader.contest import CheckpointRules
from grader.gallery.tiny import CONFIG, tiny_architecture

METHODS = ("compressed-tensors", "gptq", "awq", "fp8", "auto-round", "modelopt")
FIRST = "model.layers.0."


def decoder(*, tied: bool = True, vocab: int = CONFIG["vocab_size"]) -> Decoder:
    own = {"tie_word_embeddings": tied, "vocab_size": vocab}
    return tiny_architecture(vocab).decoder(CONFIG | own)


def packed(*dense: str) -> list[str]:
    """Names of packed tensors for all layers but those whose names hold one of ``dense``."""
    layers = [*decoder().linears, "lm_head"]
    return [f"{name}.qweight" for name in layers if not any(part in name for part in dense)]


def plan(
    config: dict[str, Any],
    held: Iterable[str] = (),
    *,
    tied: bool = True,
    vocab: int = CONFIG["vocab_size"],
    methods: tuple[str, ...] = METHODS,
    kv_cache: str = "ignore",
) -> Plan:
    """The plan; reading what the engine gets must give the same again, without dropping anything."""
    rules = CheckpointRules((), (), methods, kv_cache_scheme=kv_cache)  # type: ignore[arg-type]
    linears = decoder(tied=tied, vocab=vocab).linears
    found = read_plan(config, rules, linears, set(held))
    again = read_plan(found.config, rules, linears, set(held))
    assert (again.schemes, again.config, again.embedding) == (
        found.schemes,
        found.config,
        found.embedding,
    )
    assert again.unread == ()
    return found


def refusal(config: dict[str, Any], held: Iterable[str] = (), **options: Any) -> str:
    """``CODE where: detail`` of a config that must be refused."""
    with pytest.raises(Refused) as error:
        plan(config, held, **options)
    (found,) = error.value.problems
    return f"{found.code} {found.where}: {found.detail}"
