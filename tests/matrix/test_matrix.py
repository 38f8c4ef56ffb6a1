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
pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("matrix")
    grid.make(folder, NAMES)
    grid.compress(folder, NAMES, ["W8A8"])
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_check_and_engine_agree(name: str, models: Path) -> None:
    base, quantised = grid.cells(models, name, ["W8A8"])
    assert (base.codes, base.error) == ((), "")
    assert quantised.agrees, quantised
    assert quantised.codes == (("KERNEL_MISSING",) if name == "qwen3-moe" else ())


def test_every_refusal_is_of_a_model_and_a_scheme_that_exist() -> None:
    for name, scheme in grid.REFUSED:
        assert name in CONFIGS
        assert scheme in grid.SCHEMES
