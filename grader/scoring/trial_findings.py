"""What in a trial puts its contest in doubt. Each finding has a code of the catalogue, with what to do next."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from grader.contest import Contest
from grader.problems.catalogue import Problem
from grader.protocol.documents import AAReport
from grader.protocol.trial import Prompts, Trial
from grader.scoring import aa
from grader.scoring.stats import Z975
from grader.scoring.trial import Assessment

MANY = 0.02  # share of answers that are cut or say nothing: as large as differences that decide contests
UNSTEADY = 0.05  # share of answers that change when the same model is asked again
CLEARLY = 0.01  # p-value of the chat template's effect


def find(found: Assessment, trial: Trial, contest: Contest, gpus: int) -> tuple[Problem, ...]:
    """Everything doubtful, in the order in which one would look into it."""
    return tuple(problem for look in LOOKS for problem in look(found, trial, contest, gpus))


def prompt_findings(facts: tuple[Prompts, ...]) -> Iterator[Problem]:
    """Of prompts alone, answered or not."""
    for one in facts:
        if one.bos == "many":
            yield Problem("TRY_BOS_TWICE", one.benchmark, f"{one.most_bos} × {one.bos_id}")
        if one.bos == "missing":
            yield Problem("TRY_BOS_MISSING", one.benchmark, f"{one.bos_id}")
        if one.cut:
            detail = f"{one.cut} / {one.requests}, {one.longest_tokens} > {one.budget_tokens}"
            yield Problem("TRY_PROMPTS_CUT", one.benchmark, detail)


def _prompts(_: Assessment, trial: Trial, __: Contest, ___: int) -> Iterator[Problem]:
    yield from prompt_findings(trial.prompts)


def _answers(_: Assessment, trial: Trial, __: Contest, ___: int) -> Iterator[Problem]:
    for one in trial.prompts:
        if one.at_limit > MANY * one.questions:
            detail = f"{one.at_limit} / {one.questions}, {one.answer_limit_tokens}"
            yield Problem("TRY_ANSWERS_CUT", one.benchmark, detail)
        if (one.without_result or 0) > MANY * one.questions:
            yield Problem("TRY_NO_RESULT", one.benchmark, f"{one.without_result} / {one.questions}")


def _base_accuracy(found: Assessment, _: Trial, __: Contest, ___: int) -> Iterator[Problem]:
    for one in found.benchmarks:
        if one.base - Z975 * one.error <= one.chance:
            yield Problem("TRY_GUESSING", one.benchmark, f"{one.base:.3f}, {one.chance:.3f}")
        if one.other and one.other.won > one.other.lost and one.other.p < CLEARLY:
            detail = f"{one.base:.3f} → {one.other.value:.3f}"
            yield Problem("TRY_TEMPLATE", one.benchmark, detail)
        changed = one.repeat.won + one.repeat.lost
        if changed > UNSTEADY * one.questions:
            yield Problem("TRY_UNSTEADY", one.benchmark, f"{changed} / {one.questions}")


def _speed(_: Assessment, trial: Trial, contest: Contest, __: int) -> Iterator[Problem]:
    base = trial.base
    itself = AAReport(base.contest, base.contest_sha256, base.speed, base.system)
    for problem in aa.judge(aa.outcomes(itself), contest.aa, {}):
        yield Problem("TRY_AA", problem.where, problem.detail)


def _separation(found: Assessment, trial: Trial, contest: Contest, _: int) -> Iterator[Problem]:
    if trial.reference is None:
        yield Problem("TRY_NO_REFERENCE")
        return
    if contest.formula.accuracy and not any(one.separates for one in found.benchmarks):
        least = min(one.reference.p for one in found.benchmarks if one.reference)
        yield Problem("TRY_NOT_SEPARATED", found.reference_name, f"p = {least:.2g}")
    apart = abs((found.reference_score or 0.0) - found.base_score)
    for one in found.resolutions:
        if (one.questions, one.rounds) == (1, 1) and one.smallest > apart:
            yield Problem("TRY_COARSE", one.part, f"{one.smallest:.4f} > {apart:.4f}")


def _hardware(_: Assessment, trial: Trial, contest: Contest, __: int) -> Iterator[Problem]:
    """Speed, its noise and the minutes are those of the machine of the trial."""
    hardware, system = contest.hardware, trial.base.system
    device = "cuda" if hardware.compute_capability else "cpu"
    named = not hardware.gpus or any(
        re.search(rf"\b{re.escape(gpu)}\b", system.device_name, re.I) for gpu in hardware.gpus
    )
    if device != system.device or not named:
        yield Problem("TRY_OTHER_HARDWARE", "", f"{system.device_name} ≠ {hardware.name}")


def _pairing(found: Assessment, _: Trial, contest: Contest, __: int) -> Iterator[Problem]:
    """On a GPU; main memory is not handed out by ``gpu_memory_utilization``."""
    chosen = found.pairing
    if chosen is not None and not chosen.fits and contest.hardware.compute_capability:
        sizes = f"{chosen.needed_bytes / 1e9:.1f} GB > {chosen.available_bytes / 1e9:.1f} GB"
        yield Problem("TRY_PAIRING", chosen.pairing, sizes)


def _cost(found: Assessment, _: Trial, __: Contest, gpus: int) -> Iterator[Problem]:
    hours = found.cost.hours_a_day
    if hours > 24 * gpus:
        yield Problem("TRY_GPU_HOURS", "", f"{hours:.0f} h > {24 * gpus} h")


LOOKS: tuple[Callable[[Assessment, Trial, Contest, int], Iterator[Problem]], ...] = (
    _prompts, _answers, _base_accuracy, _speed, _separation, _hardware, _pairing, _cost,
)  # fmt: skip
