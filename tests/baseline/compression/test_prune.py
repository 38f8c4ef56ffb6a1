from __future__ import annotations

import pytest

from baseline.compression.prune import choose
from baseline.compression.recipe import PruneLayers
from baseline.terminal.errors import CliError

FREE = PruneLayers(layers=1, keep_first=0, keep_last=0)


def test_layers_of_one_kind_go_by_their_influence_alone():
    influence = [0.1, 0.4, 0.2, 0.3]
    assert choose(influence, "aaaa", PruneLayers(layers=2, keep_first=1, keep_last=0)) == [2, 3]
    assert choose(influence, "aaaa", FREE) == [0]


def test_dense_layers_that_are_counted_from_the_front_stay():
    """DeepSeek: a dense layer gone, the first one with experts would be built as a dense one."""
    influence = [0.9, 0.1, 0.5, 0.4]
    assert choose(influence, "ddss", FREE) == [3]
    assert choose(influence, "ddss", PruneLayers(layers=2, keep_first=1, keep_last=0)) == [2, 3]


def test_pattern_of_attention_stays_in_step():
    """Gemma 3 with ``sliding_window_pattern`` alone: only the end of the last cycle can go."""
    influence = [0.1] * 8
    assert choose(influence, "llgllgll", PruneLayers(layers=1)) == [6]


@pytest.mark.parametrize(
    ("kinds", "step", "possible"),
    [
        ("llglll", PruneLayers(layers=3), 2),
        ("lglg", PruneLayers(layers=1), 0),
    ],
)
def test_more_than_can_go_is_refused_with_how_many_can(kinds, step, possible):
    with pytest.raises(CliError) as caught:
        choose([0.0] * len(kinds), kinds, step)
    assert caught.value.code == "LAYERS_COUNTED_BY_INDEX"
    assert f"Only {possible} of the {step.layers} layers" in caught.value.message
    assert (f"layers={possible}" in caught.value.hint) == bool(possible)
