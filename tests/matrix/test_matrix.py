"""``check`` and the real engine agree on the base model and its W8A8 for four families of the matrix.

``make matrix`` runs the rest.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.matrix import grid
from tests.matrix.configs import CONFIGS

# Tied; fused by the checkpoint itself; sliding window and untied; experts, which a CPU does not run in 8 bits.
NAMES = ("llama", "phi3", "exaone4-hybrid", "qwen3-moe")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matrix")
    grid.make(folder, NAMES)
    grid.compress(folder, NAMES, ["W8A8"])
    return folder


@pytest.mark.vllm
@pytest.mark.parametrize("name", NAMES)
def test_check_and_engine_agree(name: str, models: Path) -> None:
    base, quantised = grid.row(models, name, ["W8A8"])
    assert (base.codes, base.error, base.likeness) == ((), "", 1.0)
    assert quantised.agrees, quantised
    assert quantised.codes == (("KERNEL_MISSING",) if name == "qwen3-moe" else ())


def test_every_exception_is_of_a_model_and_a_scheme_that_exist() -> None:
    for name, scheme in [*grid.REFUSED, *grid.NOT_SERVED]:
        assert name in CONFIGS
        assert scheme in grid.SCHEMES


@pytest.mark.parametrize(
    ("cell", "agrees"),
    [
        (grid.Cell("llama", "W8A8", (), "", 0.999), True),
        (grid.Cell("llama", "W8A8", ("WEIGHTS_SHAPE",), "", 0.99), False),  # too strict
        (grid.Cell("llama", "W8A8", (), "KeyError", 0.0), False),  # too lax
        (grid.Cell("llama", "W8A8", (), "", 0.6), False),  # garbled in silence
        (grid.Cell("llama", "pruned", (), "", 0.6), True),
        (grid.Cell("llama", "pruned", (), "", 0.1), False),
        (
            grid.Cell("llama", "W8A8", ("WEIGHTS_SHAPE",), "KeyError", 0.0),
            False,
        ),  # compress broke it
        (grid.Cell("qwen3-moe", "W8A8", ("KERNEL_MISSING",), "No Int8 MoE backend", 0.0), True),
        (grid.Cell("qwen3-moe", "W8A8", ("KERNEL_MISSING",), "", 0.99), False),  # it has one now
        (grid.Cell("qwen3-moe", "W8A8", (), "No Int8 MoE backend", 0.0), False),
    ],
)
def test_what_counts_as_agreement(cell: grid.Cell, agrees: bool) -> None:
    assert cell.agrees is agrees


def test_likeness_is_of_equally_many_numbers() -> None:
    assert grid.likeness([-1.0, -2.0, -3.0], [-1.0, -2.0, -3.0]) == 1.0
    assert grid.likeness([-1.0, -2.0, -3.0], [-3.0, -2.0, -1.0]) == -1.0
    assert grid.likeness([-1.0, -2.0], [-1.0, -2.0, -3.0]) == 0.0
    assert grid.likeness([], []) == 0.0
