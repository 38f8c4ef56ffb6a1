"""What a trial of a contest means under its rules: figures, and the findings that put a contest in doubt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from grader.contest import Benchmark, Contest
from grader.protocol.documents import Item, Report
from grader.protocol.trial import OtherTemplate, Prompts, Trial
from grader.scoring import pairing, power
from grader.scoring.pairing import Estimate
from grader.scoring.parts import Part, has_private, questions
from grader.scoring.power import Resolution
from grader.scoring.score import ScoreError, score
from grader.scoring.stats import sign_test

DAY_S = 86400.0
MORE = ((1, 1), (2, 1), (1, 2), (2, 2))  # times the questions, times the rounds


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same questions: how many of them each alone got more of, and McNemar's exact p."""

    value: float
    won: int
    lost: int
    p: float


@dataclass(frozen=True, slots=True)
class BenchmarkFigures:
    """One benchmark.

    Attributes:
        base, error: the base model's accuracy and its standard error.
        chance: what guessing gets.
        repeat: the base model's second run against its first.
        template: whether the chat template is applied; ``other`` is the base model the other way.
        reference: against the base model.
    """

    benchmark: str
    weight: float
    questions: int
    base: float
    error: float
    chance: float
    template: bool
    repeat: Comparison
    other: Comparison | None = None
    reference: Comparison | None = None

    @property
    def separates(self) -> bool:
        return self.reference is not None and self.reference.p < 0.05


@dataclass(frozen=True, slots=True)
class TermFigures:
    """One term of the score: of the base model against itself and of the reference, with half-widths."""

    name: str
    weight: float
    base: float
    base_half_width: float
    reference: float | None = None
    reference_half_width: float | None = None


@dataclass(frozen=True, slots=True)
class Projection:
    """The smallest difference with so many times the questions and rounds, on the board of one part.

    ``tie``: closer entries are never called apart. ``smallest``: found in four of five cases. ``bounded``:
    upper limits, see :mod:`grader.scoring.power`.
    """

    part: Part
    questions: int
    rounds: int
    smallest: float
    tie: float
    accuracy_share: float
    bounded: bool


@dataclass(frozen=True, slots=True)
class Cost:
    """What grading takes on a machine like this one.

    Attributes:
        first_minutes: of a first grade, which asks the base model too; ``minutes``: of every later one.
        hours_a_day: of one GPU, when every team uses its quota; ``hours``: over all ``days`` of the phases.
        gpus: how many it takes to keep up.
    """

    first_minutes: float
    minutes: float
    teams: int
    grades_a_day: int
    hours_a_day: float
    days: float
    hours: float
    gpus: int


@dataclass(frozen=True, slots=True)
class Assessment:
    """All of it, for tables and JSON. ``resolutions`` is empty without a reference."""

    contest: str
    contest_sha256: str
    grading_sha256: str
    formula: str
    quick: bool
    device: str
    hardware: str
    reference_name: str
    base_score: float
    reference_score: float | None
    benchmarks: tuple[BenchmarkFigures, ...]
    prompts: tuple[Prompts, ...]
    terms: tuple[TermFigures, ...]
    resolutions: tuple[Projection, ...]
    cost: Cost
    pairings: tuple[Estimate, ...] = ()

    @property
    def pairing(self) -> Estimate | None:
        """The contest's own among ``pairings``."""
        return next((one for one in self.pairings if one.is_chosen), None)


def assess(
    trial: Trial, contest: Contest, teams: int, config: Mapping[str, Any] | None = None
) -> Assessment:
    """What was measured, under the formula of ``contest``.

    ``config`` is the base model's ``config.json``; without it nothing is said of pairings.

    Raises:
        ScoreError: the base model got nothing right, or the trial is of other benchmarks than the contest.
    """
    base, reference = trial.base, trial.reference
    own = score(base, contest)
    other = score(reference, contest) if reference else None
    terms = tuple(
        TermFigures(
            term.name, term.weight, term.value, term.half_width,
            other.term(term.name).value if other else None,
            other.term(term.name).half_width if other else None,
        )
        for term in own.terms
    )  # fmt: skip
    return Assessment(
        contest=trial.contest,
        contest_sha256=trial.contest_sha256,
        grading_sha256=trial.grading_sha256,
        formula=contest.scoring.formula,
        quick=trial.quick,
        device=base.system.device_name,
        hardware=contest.hardware.name,
        reference_name=trial.reference_name,
        base_score=own.value,
        reference_score=other.value if other else None,
        benchmarks=tuple(_benchmark(b, contest, trial) for b in contest.benchmarks),
        prompts=trial.prompts,
        terms=terms,
        resolutions=_projections(base, reference, contest) if reference else (),
        cost=_cost(base, reference, contest, teams),
        pairings=_pairings(base, contest, config) if config else (),
    )


def _pairings(base: Report, contest: Contest, config: Mapping[str, Any]) -> tuple[Estimate, ...]:
    """On the contest's GPU where it says what that holds, else on the machine of the trial.

    On a CPU ``gpu_memory_utilization`` says nothing: engines share the main memory.
    """
    system, device_bytes = base.system, contest.hardware.memory_bytes
    share = 1.0 if not device_bytes and system.gpu is None else None
    if not device_bytes:
        gpu = system.gpu
        device_bytes = gpu.memory_bytes // gpu.count if gpu else system.memory_bytes
    return pairing.estimate(
        contest,
        config,
        pairing.noise_of(base),
        startup_s=pairing.startup_of(base),
        device_bytes=device_bytes,
        share=share,
    )


def _benchmark(benchmark: Benchmark, contest: Contest, trial: Trial) -> BenchmarkFigures:
    items = _items(trial.base, benchmark, contest)
    values = [item.value for item in items]
    mean = math.fsum(values) / len(values)
    variance = math.fsum((v - mean) ** 2 for v in values) / max(1, len(values) - 1)
    facts = next((p for p in trial.prompts if p.benchmark == benchmark.id), None)
    turned = next((t for t in trial.other_template if t.benchmark == benchmark.id), None)
    reference = _items(trial.reference, benchmark, contest) if trial.reference else []
    return BenchmarkFigures(
        benchmark=benchmark.id,
        weight=benchmark.weight,
        questions=len(items),
        base=mean,
        error=math.sqrt(variance / len(values)),
        chance=facts.chance if facts else 0.0,
        template=benchmark.apply_chat_template,
        repeat=compare([item.base_value for item in items], values),
        other=_turned(turned, trial.base, benchmark, contest) if turned else None,
        reference=compare([i.base_value for i in reference], [i.value for i in reference])
        if reference
        else None,
    )


def _items(report: Report, benchmark: Benchmark, contest: Contest) -> list[Item]:
    found = next((r.items for r in report.quality if r.benchmark == benchmark.id), ())
    if not found:
        raise ScoreError(f"benchmark {benchmark.id} is missing from the trial")
    return questions(contest, benchmark, found, "all")


def _turned(
    turned: OtherTemplate, base: Report, benchmark: Benchmark, contest: Contest
) -> Comparison:
    """By place: the prompts differ, the questions and their order do not."""
    all_items = next(r.items for r in base.quality if r.benchmark == benchmark.id)
    if len(all_items) != len(turned.values):
        raise ScoreError(f"benchmark {benchmark.id}: the two runs asked different questions")
    pairs = zip(all_items, turned.values, strict=True)
    kept = [(i.value, v) for i, v in pairs if i.doc_id not in benchmark.exclude_docs]
    return compare([own for own, _ in kept], [value for _, value in kept])


def compare(before: list[float], after: list[float]) -> Comparison:
    """Paired by place; the p-value is two-sided and exact, over the questions that came out differently."""
    changes = [b - a for a, b in zip(before, after, strict=True)]
    won, lost = sum(c > 0 for c in changes), sum(c < 0 for c in changes)
    p = min(1.0, 2 * sign_test(max(won, lost), min(won, lost)))
    return Comparison(math.fsum(after) / len(after), won, lost, p)


def parts(contest: Contest) -> tuple[Part, ...]:
    """The boards that the contest has."""
    return ("public", "private") if has_private(contest) else ("all",)


def _projections(base: Report, reference: Report, contest: Contest) -> tuple[Projection, ...]:
    found = []
    for part in parts(contest):
        measured = power.resolution(base, reference, contest, part)
        for times, rounds in MORE:
            more = power.with_more(measured, base, reference, contest, times=times, rounds=rounds)
            found.append(_projection(more, times, rounds))
    return tuple(found)


def _projection(found: Resolution, times: int, rounds: int) -> Projection:
    return Projection(
        found.part, times, rounds, found.smallest, found.tie, found.accuracy_share, found.bounded
    )  # fmt: skip


def _cost(base: Report, reference: Report | None, contest: Contest, teams: int) -> Cost:
    first, later = (_minutes(report) for report in (base, reference or base))
    a_day = teams * contest.limits.submissions_per_day
    hours = a_day * later / 60
    days = sum((p.end - p.start).total_seconds() for p in contest.phases) / DAY_S
    return Cost(
        first, later, teams, a_day, hours, days, hours * days, max(1, math.ceil(hours / 24))
    )


def _minutes(report: Report) -> float:
    return math.fsum(stage.duration_s for stage in report.stages) / 60
