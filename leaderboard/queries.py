"""Reads that span tables. The page, the API and the admin preview all rank through here."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from grader.ranking import Contender, Standing, order_key, rank
from grader.report import Item
from grader.split import Part, questions
from grader.stats import Z975
from leaderboard import phases
from leaderboard.models import (
    Contest,
    Evaluation,
    FinalChoice,
    PartScore,
    Result,
    Ruling,
    Score,
    Submission,
    Team,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the board: an entrant's best scored evaluation.

    Ranks count teams only: an organiser's row (base, reference) shows the place it would have.
    """

    standing: Standing
    entrant: str
    kind: str
    team_id: int | None
    submission_id: int
    submissions: int
    score: PartScore
    submitted: Any
    terms: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        return self.standing.rank

    @property
    def tied(self) -> bool:
        return self.standing.tied

    @property
    def is_ranked(self) -> bool:
        return self.kind == Submission.Kind.TEAM


@dataclass(frozen=True, slots=True)
class Board:
    """All rows of a contest, best first."""

    contest: Contest
    formula: str
    entries: list[Entry]
    part: Part = "public"

    @property
    def base(self) -> Entry | None:
        return next((e for e in self.entries if e.kind == Submission.Kind.BASE), None)


def board_for(user: User | AnonymousUser, contest: Contest) -> Board:
    """The board as this person may see it: the public's stands still while it is frozen, staff's never."""
    if getattr(user, "is_staff", False):
        return board(contest, with_hidden=True)
    return board(contest, as_of=phases.frozen_since(contest))


def standing_evaluations(
    contest: Contest,
    *,
    as_of: datetime | None = None,
    with_hidden: bool = False,
    only_final: bool = False,
) -> QuerySet[Evaluation]:
    """Evaluations that may stand on a board: scored, speaking for their submission, not ruled out.

    Args:
        as_of: only entries submitted before that moment (a frozen board), whenever they were graded.
        with_hidden: those hidden from the public too; disqualified ones never stand.
        only_final: of a team that chose entries for the final, only those.
    """
    in_force = Ruling.objects.filter(lifted__isnull=True)
    if with_hidden:
        in_force = in_force.filter(kind=Ruling.Kind.DISQUALIFIED)
    found = (
        Evaluation.objects.filter(
            submission__contest=contest,
            status=Evaluation.Status.SCORED,
            score__isnull=False,
            counts=True,
        )
        .exclude(submission__kind=Submission.Kind.SELFTEST)
        .exclude(Exists(in_force.filter(submission=OuterRef("submission"))))
        .exclude(Exists(in_force.filter(team=OuterRef("submission__team"))))
    )
    if as_of is not None:
        found = found.filter(submission__created__lt=as_of)
    if only_final:
        chosen = FinalChoice.objects.filter(team=OuterRef("submission__team"))
        found = found.filter(
            Exists(chosen.filter(submission=OuterRef("submission"))) | ~Exists(chosen)
        )
    return found


def board(
    contest: Contest,
    part: Part = "public",
    *,
    as_of: datetime | None = None,
    with_hidden: bool = False,
    only_final: bool = False,
) -> Board:
    """The board now over one part of the questions, in a fixed number of queries.

    Who may see the private one is for the caller to know. Other arguments: :func:`standing_evaluations`.
    """
    scored = (
        standing_evaluations(contest, as_of=as_of, with_hidden=with_hidden, only_final=only_final)
        .select_related("submission__team", "score")
        .only(
            "status",
            "submission__kind",
            "submission__title",
            "submission__created",
            "submission__team__name",
            *(f"score__{name}" for name in (*PartScore.__slots__, "private")),
        )
    )
    best: dict[tuple[str, Any], _Scored] = {}
    for evaluation in scored:
        submission = evaluation.submission
        assert evaluation.score is not None
        found = _Scored(submission, evaluation.score.pk, evaluation.score.of(part))
        who = (submission.kind, submission.team_id or submission.title)
        if who not in best or found.order < best[who].order:
            best[who] = found
    counts: dict[int | None, int] = dict(
        Team.objects.filter(contest=contest).annotate(n=Count("submissions")).values_list("pk", "n")
    )
    ordered = sorted(best.values(), key=lambda found: found.order)
    standings = rank(
        _contenders(ordered, part),
        [found.submission.kind == Submission.Kind.TEAM for found in ordered],
    )
    entries = [
        Entry(
            standing=standing,
            entrant=found.submission.entrant,
            kind=found.submission.kind,
            team_id=found.submission.team_id,
            submission_id=found.submission.pk,
            submissions=counts.get(found.submission.team_id, 1),
            score=found.score,
            submitted=found.submission.created,
            terms={term["name"]: term for term in found.score.terms},
        )
        for found, standing in zip(ordered, standings, strict=True)
    ]
    return Board(contest, contest.rules.scoring.formula, entries, part)


@dataclass(frozen=True, slots=True)
class _Scored:
    """A submission with the part of its score that is asked for."""

    submission: Submission
    score_id: int
    score: PartScore

    @property
    def order(self) -> tuple[float, int, float]:
        created = self.submission.created.timestamp()
        return order_key(self.score.value, self.score.safetensors_bytes, created)


def _contenders(ordered: list[_Scored], part: Part) -> list[Contender]:
    """What is ranked, with the replicates of those alone: not of every submission there ever was."""
    column = "private_replicates" if part == "private" else "replicates"
    stored = dict(
        Score.objects.filter(pk__in=[found.score_id for found in ordered]).values_list("pk", column)
    )
    return [
        Contender(found.score.value, found.score.half_width, bytes(stored[found.score_id]))
        for found in ordered
    ]


def team_of(user: User | AnonymousUser, contest: Contest) -> Team | None:
    """The user's team in a contest."""
    if not isinstance(user, User):
        return None
    return Team.objects.filter(contest=contest, memberships__user=user).first()


def visible_submissions(user: User | AnonymousUser) -> QuerySet[Submission]:
    """What a person may open: their team's, the organisers' entries, and everything for staff."""
    everything = Submission.objects.select_related("team", "contest__version", "user")
    organisers = everything.filter(kind__in=(Submission.Kind.BASE, Submission.Kind.REFERENCE))
    if not isinstance(user, User):
        return organisers
    if user.is_staff:
        return everything
    return organisers | everything.filter(team__in=user.memberships.values("team"))


def latest_evaluation(submission: Submission) -> Evaluation:
    """The evaluation that speaks for a submission."""
    return submission.evaluations.select_related("score", "worker", "version").get(counts=True)


def queue_position(evaluation: Evaluation) -> int:
    """1 for the evaluation that the next free worker gets."""
    ahead = Evaluation.objects.filter(
        status=Evaluation.Status.QUEUED, version__contest=evaluation.version.contest_id
    ).filter(
        Q(priority__gt=evaluation.priority) | Q(priority=evaluation.priority, pk__lt=evaluation.pk)
    )
    return ahead.count() + 1


def waiting(contest: Contest) -> int:
    """Evaluations that are queued or running."""
    active = (Evaluation.Status.QUEUED, Evaluation.Status.RUNNING)
    live = Evaluation.objects.filter(version__contest=contest, status__in=active, counts=True)
    return live.count()


def team_history(team: Team) -> list[Submission]:
    """A team's submissions, newest first, each with ``evaluation``, the one that speaks for it."""
    rows = list(team.submissions.order_by("-pk"))
    speaking = Evaluation.objects.filter(submission__in=rows, counts=True).select_related("score")
    latest = {evaluation.submission_id: evaluation for evaluation in speaking}
    for row in rows:
        row.evaluation = latest.get(row.pk)  # type: ignore[attr-defined]
    return rows


def report_summary(evaluation: Evaluation, part: Part = "public") -> dict[str, Any] | None:
    """The stored report as pages show it; None before it exists.

    Values of a benchmark are over ``part`` alone, and its questions are not listed: neither the private
    questions' results nor which they are can be read from it.
    """
    result = Result.objects.filter(evaluation=evaluation).first()
    if result is None:
        return None
    rules, measured = evaluation.version.rules, result.report
    benchmarks = {benchmark.id: benchmark for benchmark in rules.benchmarks}
    quality = []
    for row in measured["quality"]:
        items = [Item(**item) for item in row["items"]]
        quality.append(
            {**row, **_paired(questions(rules, benchmarks[row["benchmark"]], items, part))}
        )
    return {**measured, "quality": quality}


def _paired(items: list[Item]) -> dict[str, float]:
    """Means with their standard errors, and the paired difference to the base model with its half-width."""
    own, base = [item.value for item in items], [item.base_value for item in items]
    differences = [item.value - item.base_value for item in items]
    difference, error = _mean_and_error(differences)
    own_mean, own_error = _mean_and_error(own)
    base_mean, base_error = _mean_and_error(base)
    return {
        "items": len(items),
        "value": own_mean,
        "stderr": own_error,
        "base_value": base_mean,
        "base_stderr": base_error,
        "difference": difference,
        "difference_half_width": Z975 * error,
        "won": sum(d > 0 for d in differences),
        "lost": sum(d < 0 for d in differences),
    }


def _mean_and_error(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return sum(values), 0.0
    return statistics.fmean(values), statistics.stdev(values) / len(values) ** 0.5
