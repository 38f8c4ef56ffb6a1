"""Which entries a batch covers, and how long it would take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from grader.schema import decode
from leaderboard.board import ranking
from leaderboard.models import Batch, Contest, Evaluation
from leaderboard.models.evaluation import EvaluationQuerySet
from leaderboard.workers import queue

GRADE_S = 1200.0  # before the first grade: the real contest's time limit
RESCORE_S = 0.0005  # per entry, before any batch has run


@dataclass(frozen=True, slots=True)
class Filter:
    """Empty fields do not restrict. Every entry is represented by its current evaluation.

    Attributes:
        phase: id of the contest's phase during which it was entered.
        team: a team's key.
        status: of the evaluation.
        score_min, score_max: of the score that counts, inclusive.
        worker: name of the worker that measured it.
        since, until: when it was entered; ``until`` is exclusive.
        problem: a problem code among its findings.
        version: first characters of the sha256 of the contest version that its score is of.
        submissions: keys.
        best: only the entries on the board now: one per team, and the organizers'.
        final: only entries of the final: those the team chose, or its best if it chose none.
        top: only final entries of this many top teams, by the private board; 0 means all teams.
    """

    phase: str = ""
    team: int | None = None
    status: str = ""
    score_min: float | None = None
    score_max: float | None = None
    worker: str = ""
    since: datetime | None = None
    until: datetime | None = None
    problem: str = ""
    version: str = ""
    submissions: tuple[int, ...] = ()
    best: bool = False
    final: bool = False
    top: int = 0

    @property
    def is_everything(self) -> bool:
        return self == Filter()


def batch_filter(batch: Batch) -> Filter:
    """The filter that a batch was created with."""
    return decode(Filter, batch.filter)


def _current(contest: Contest) -> EvaluationQuerySet:
    return Evaluation.objects.current().of_contest(contest).without_selftest()


def scored(contest: Contest) -> QuerySet[Evaluation]:
    """Current evaluations that are scored: on the board or ruled out."""
    return _current(contest).scored()


def chosen(contest: Contest, kind: str, wanted: Filter) -> QuerySet[Evaluation]:
    """The evaluations that a batch of this kind would cover, in order of entry.

    A rescore needs a stored report; a regrade needs an archive, which rejected and cancelled entries lack.
    """
    possible = [Evaluation.Status.SCORED]
    if kind == Batch.Kind.REGRADE:
        possible.append(Evaluation.Status.FAILED)
    found = _current(contest).filter(status__in=possible)
    found = found.filter(_of_entry(contest, wanted), _of_evaluation(wanted))
    if wanted.best or wanted.final or wanted.top:
        found = found.filter(submission__in=_standing(contest, wanted))
    return found.order_by("pk")


def _standing(contest: Contest, wanted: Filter) -> list[int]:
    """Submissions on the board, in the final, or in the final and from one of the top teams."""
    if wanted.best and not (wanted.final or wanted.top):
        return [e.submission_id for e in ranking.board(contest, with_hidden=True).entries]
    final = ranking.final_entries(contest)
    board = ranking.board(contest, "private", with_hidden=True, only_final=True)
    if wanted.top:
        leaders = [entry.team_id for entry in board.ranked[: wanted.top]]
        return [pk for team in leaders if team for pk in final.get(team, [])]
    organisers = [entry.submission_id for entry in board.entries if not entry.is_ranked]
    return [*organisers, *(pk for entries in final.values() for pk in entries)]


def _of_entry(contest: Contest, wanted: Filter) -> Q:
    entered = Q()
    if wanted.phase:
        phase = next((p for p in contest.rules.phases if p.id == wanted.phase), None)
        if phase is None:
            return Q(pk__in=[])
        entered &= Q(submission__created__gte=phase.start, submission__created__lt=phase.end)
    if wanted.team is not None:
        entered &= Q(submission__team=wanted.team)
    if wanted.since is not None:
        entered &= Q(submission__created__gte=wanted.since)
    if wanted.until is not None:
        entered &= Q(submission__created__lt=wanted.until)
    if wanted.submissions:
        entered &= Q(submission__in=wanted.submissions)
    return entered


def _of_evaluation(wanted: Filter) -> Q:
    graded = Q()
    if wanted.status:
        graded &= Q(status=wanted.status)
    if wanted.score_min is not None:
        graded &= Q(score__value__gte=wanted.score_min)
    if wanted.score_max is not None:
        graded &= Q(score__value__lte=wanted.score_max)
    if wanted.worker:
        graded &= Q(worker__name=wanted.worker)
    if wanted.problem:
        graded &= Q(problems__contains=[{"code": wanted.problem}])
    if wanted.version:
        graded &= Q(score__version__sha256__startswith=wanted.version)
    return graded


@dataclass(frozen=True, slots=True)
class Estimate:
    """The cost of a batch: ``seconds`` on ``workers`` workers for ``measurements`` of ``entries``."""

    entries: int
    measurements: int
    workers: int
    seconds: float

    @property
    def ready_at(self) -> datetime:
        return timezone.now() + timedelta(seconds=self.seconds)


def estimate(
    contest: Contest,
    kind: str,
    wanted: Filter,
    *,
    repeats: int = 1,
    workers: list[str] | None = None,
) -> Estimate:
    """Estimated from the durations of recent grades and earlier batches; live entries go first."""
    entries = chosen(contest, kind, wanted).count()
    if kind == Batch.Kind.RESCORE:
        return Estimate(entries, 0, 0, entries * _rescore_s(contest))
    measurements = entries * repeats * max(1, len(workers or []))
    now = queue.queue(contest)
    hands = max(1, len(workers) if workers else now.workers)
    to_do = measurements + now.waiting + now.running
    return Estimate(entries, measurements, hands, to_do * (now.grade_s or GRADE_S) / hands)


def _rescore_s(contest: Contest) -> float:
    """Seconds per entry in the contest's latest rescore."""
    done = contest.batches.filter(kind=Batch.Kind.RESCORE, ready__gt=F("started")).first()
    if done is None or done.ready is None or done.started is None:
        return RESCORE_S
    return (done.ready - done.started).total_seconds() / max(1, done.items.count())
