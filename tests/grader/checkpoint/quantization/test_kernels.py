"""Kernel hints compared with the table of the event's lecture: implementations by GPU generation.

The table describes an older vLLM. If the pinned engine differs, its own ``get_min_capability`` counts, and the
difference is listed in ``MOVED_ON`` with its reason.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.checkpoint.quantization.kernels import find_kernel_problems
from grader.contest import Contest, Hardware
from grader.gallery import CASES, judge, tiny_contest
from grader.gallery import quantised as q
from grader.gallery.tiny import CONFIG, Json
from grader.problems.catalogue import CATALOGUE, Fault
from tests.grader.checkpoint.test_tensors import decoder_of, plan_of

# Volta, Turing, Ampere, Ada, Hopper, x86 CPU
CAPABILITIES = (7.0, 7.5, 8.0, 8.9, 9.0, 0.0)

LECTURE: dict[str, tuple[Json, str]] = {
    "AWQ": (q.AWQ, "✗✓✓✓✓✓"),
    "GPTQ": (q.GPTQ, "✓✓✓✓✓✓"),
    "Marlin (GPTQ)": (q.GPTQ, "✗✗✓✓✓✗"),
    "Marlin (AWQ)": (q.AWQ, "✗✗✓✓✓✗"),
    "INT8 (W8A8)": (q.W8A8, "✗✓✓✓✓✓"),
    "FP8 (W8A8)": (q.FP8, "✗✗✗✓✓✗"),
}
MOVED_ON = {
    ("GPTQ", 7.0): "GPTQ runs on Marlin alone, from 7.5 on",
    ("Marlin (GPTQ)", 7.5): "Marlin runs from 7.5 on",
    ("Marlin (AWQ)", 7.5): "Marlin runs from 7.5 on",
    ("Marlin (GPTQ)", 0.0): "the CPU has a kernel of its own",
    ("Marlin (AWQ)", 0.0): "the CPU has a kernel of its own",
}
# Rows whose checkpoints no contest accepts: refused by name, with an alternative.
REFUSED = {
    "BitBLAS": "quant-method-bitblas",
    "BitBLAS (GPTQ)": "quant-method-bitblas",
    "bitsandbytes": "quant-method-bitsandbytes",
    "DeepSpeedFP": "quant-method-deepspeedfp",
    "GGUF": "quant-method-gguf only-model.gguf",
    "INC (W8A8)": "quant-method-inc",
}


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    return tiny_contest(tmp_path_factory.mktemp("contest"))


def hints(scheme: Json, capability: float, contest: Contest) -> set[str]:
    held = {f"{layer}.qweight" for layer in decoder_of(CONFIG).linears}
    linears, plan = plan_of(CONFIG | {"quantization_config": scheme}, contest, held)
    return {p.code for p in find_kernel_problems(plan, linears, Hardware("GPU", capability))}


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("row", LECTURE)
def test_every_cell_of_the_table(row: str, capability: float, contest: Contest) -> None:
    """✓: no finding. ✗: refused, or a notice that it will be slow.
    #DROPPED
    """
    scheme, cells = LECTURE[row]
    good = cells[CAPABILITIES.index(capability)] == "✓"
    if (row, capability) in MOVED_ON:
        good = not good
    assert (hints(scheme, capability, contest) == set()) is good


def test_what_runs_somehow_is_not_refused(contest: Contest) -> None:
    """FP8 before Ada: the engine has a workaround, so it is only a notice."""
    for scheme, capability, code in (
        (q.FP8, 8.0, "KERNEL_FP8"),
        (q.FP8, 7.5, "KERNEL_FP8"),
        (q.FP8, 0.0, "KERNEL_FP8"),
    ):
        assert hints(scheme, capability, contest) == {code}
        assert CATALOGUE[code].fault is Fault.NOTICE


@pytest.mark.parametrize("row", REFUSED)
def test_rows_that_no_contest_takes(row: str, contest: Contest, tmp_path: Path) -> None:
    by_id = {case.id: case for case in CASES}
    for name in REFUSED[row].split(" "):
        (tmp_path / name).mkdir()
        (problem,) = judge(by_id[name], contest, tmp_path / name).problems
        assert problem.code == by_id[name].code
        assert "baseline compress" in CATALOGUE[problem.code].hint.en or problem.where
