"""The method ``fp8``: names that transformers shortens are written out for the engine."""

from __future__ import annotations

import pytest

from grader.gallery.quantised import FP8_HF
from tests.grader.checkpoint.quantization.plans import FIRST, plan, refusal

OUT = [f"model.layers.{index}.self_attn.o_proj" for index in (0, 1)]
QKV = [f"{FIRST}self_attn.{name}_proj" for name in "qkv"]


@pytest.mark.parametrize("names", [["o_proj"], ["self_attn.o_proj"], [r".*o_proj"], OUT])
def test_short_names(names: list[str]) -> None:
    found = plan({**FP8_HF, "modules_to_not_convert": names})
    assert found.config == {**FP8_HF, "ignored_layers": OUT}
    assert found.schemes.keys().isdisjoint(OUT)


def test_a_short_name_of_a_layer_that_has_scales_is_not_meant() -> None:
    held = [f"{layer}.weight_scale" for layer in OUT]
    assert OUT[0] in plan({**FP8_HF, "modules_to_not_convert": ["o_proj"]}, held).schemes
    exact = {**FP8_HF, "ignored_layers": OUT}
    assert (
        OUT[0] not in plan(exact, held).schemes
    )  # the engine takes it at its word, so the table does


def test_the_name_of_a_fused_layer() -> None:
    found = plan({**FP8_HF, "modules_to_not_convert": [f"{FIRST}self_attn.qkv_proj"]})
    assert found.config == {**FP8_HF, "ignored_layers": QKV}


def test_half_a_fused_layer() -> None:
    assert refusal({**FP8_HF, "ignored_layers": QKV[:1]}).startswith("QUANT_FUSED")


def test_keys_that_only_tools_read() -> None:
    found = plan({**FP8_HF, "fmt": "e4m3", "scale_fmt": "ue8m0"})
    assert (found.config, found.unread) == (FP8_HF, ("scale_fmt",))
