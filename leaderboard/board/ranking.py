"""The board: each entrant's best scored evaluation, ranked.

A team's best score is the first row of an index (``best_of_a_team``), so reading the board scales with the
number of teams, not of submissions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count, Exists, F, FloatField, OuterRef, Q, QuerySet, Subquery
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce

from grader.scoring.parts import Part
from grader.scoring.ranking import Contender, Standing, order_key, rank
from leaderboard.board import finalists
from leaderboard.contests import phases
from leaderboard.models import (
    Contest,
    Evaluation,
    FinalChoice,
    PartScore,
    Pool,
    Ruling,
    Score,
    Submission,
    Team,
    are_exact,
    public_figures,
)

Held = Literal["", "flag", "first_place"]
ORGANISERS = (Submission.Kind.BASE, Submission.Kind.REFERENCE)


@dataclass(frozen=True, slots=True)
class Confirmation:
    """How far a place is confirmed: ``count`` of ``measurements`` are there, and whether more are to come."""

    count: int
    measurements: int
    is_under_way: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the board: an entrant's best scored evaluation.

    Ranks count teams only: an organizer's row (base, reference) shows the rank it would have.

    Attributes:
        submissions: how many of the entrant's submissions were scored.
        held: why staff have yet to look at it: ``flag`` or ``first_place``; empty if they need not.
        confirmation: of a place that is measured again.
    """

    standing: Standing
    entrant: str
    kind: str
    team_id: int | None
    submission_id: int
    submissions: int
    score: PartScore
    submitted: datetime
    held: Held = ""
    confirmation: Confirmation | None = None

    @property
    def rank(self) -> int:
        return self.standing.rank

    @property
    def tied(self) -> bool:
        return self.standing.tied

    @property
    def is_ranked(self) -> bool:
        return self.kind == Submission.Kind.TEAM

    @property
    def terms(self) -> dict[str, dict[str, Any]]:
        return {term["name"]: term for term in self.score.terms}


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

    @property
    def reference(self) -> Entry | None:
        """The best published baseline."""
        return next((e for e in self.entries if e.kind == Submission.Kind.REFERENCE), None)

    @property
    def ranked(self) -> list[Entry]:
        return [e for e in self.entries if e.is_ranked]

    def of_team(self, team_id: int | None) -> Entry | None:
        return next((e for e in self.entries if team_id and e.team_id == team_id), None)


@dataclass(frozen=True, slots=True)
class View:
    """Which entries a board shows, by which score.

    Attributes:
        part: of the questions. The caller decides who may see the private part.
        as_of: only entries submitted before that moment (a frozen board), no matter when they were graded.
        with_hidden: include entries hidden from the public; disqualified ones are never included.
        only_final: of each team, only its entries in the final (``finalists``).
        exact: figures as they are, for staff and after the end; otherwise as participants see them
            (``models.figures``). Ranks and ties are exact either way.
    """

    part: Part = "public"
    as_of: datetime | None = None
    with_hidden: bool = False
    only_final: bool = False
    exact: bool = True


def view_of(user: User | AnonymousUser, contest: Contest) -> View:
    """The view this person may see: the public's freezes with the board, the staff's does not."""
    if getattr(user, "is_staff", False):
        return View(with_hidden=True)
    return View(as_of=phases.frozen_since(contest), exact=are_exact(contest))


def private_view(user: User | AnonymousUser, contest: Contest) -> View | None:
    """The private board for this person: staff at any time, everybody once revealed; otherwise None."""
    is_staff = bool(getattr(user, "is_staff", False))
    if not is_staff and not phases.is_revealed(contest):
        return None
    return View(part="private", with_hidden=is_staff, only_final=True)


def leading_view(user: User | AnonymousUser, contest: Contest) -> View:
    """The view that answers who leads: the final result once it is public, the public board until then."""
    final = private_view(user, contest) if phases.is_revealed(contest) else None
    return final or view_of(user, contest)


def board_for(user: User | AnonymousUser, contest: Contest) -> Board:
    """The board as this person may see it."""
    return board(contest, **asdict(view_of(user, contest)))


def final_entries(contest: Contest, team: Team | None = None) -> dict[int, list[int]]:
    """Team → its submissions in the final, for one team or all."""
    return finalists.going(contest, _standing(contest, View(with_hidden=True)), team)


def standing_evaluations(
    contest: Contest,
    *,
    as_of: datetime | None = None,
    with_hidden: bool = False,
    only_final: bool = False,
) -> QuerySet[Evaluation]:
    """Evaluations that may appear on a board: scored, current for their submission, not ruled out.

    See :class:`View` for the arguments.
    """
    found = Evaluation.objects.of_contest(contest).without_selftest()
    found = found.filter(score__isnull=False)
    return found.filter(_standing(contest, View("public", as_of, with_hidden, only_final)))


def board(
    contest: Contest,
    part: Part = "public",
    *,
    as_of: datetime | None = None,
    with_hidden: bool = False,
    only_final: bool = False,
    exact: bool = True,
) -> Board:
    """The current board, in a fixed number of queries; see :class:`View` for the arguments."""
    may_stand = _standing(contest, View(part, as_of, with_hidden, only_final))
    teams = _best_of_teams(contest, may_stand, part)
    best = sorted([*teams, *_best_of_organisers(contest, may_stand, part)], key=_Scored.order)
    counts, confirmed = _scored_counts(contest, as_of), confirmations(contest)
    standings = rank(
        _contenders(best, part), [e.submission.kind == Submission.Kind.TEAM for e in best]
    )
    entries = [
        Entry(
            standing=standing,
            entrant=found.submission.entrant,
            kind=found.submission.kind,
            team_id=found.submission.team_id,
            submission_id=found.submission.pk,
            submissions=counts.get(found.submission.team_id, 1),
            score=found.score if exact or part == "private" else public_figures(found.row, contest),
            submitted=found.submission.created,
            held=found.held(standing),
            confirmation=confirmed.get(found.submission.pk),
        )
        for found, standing in zip(best, standings, strict=True)
    ]
    return Board(contest, contest.rules.scoring.formula, entries, part)


@dataclass(frozen=True, slots=True)
class _Scored:
    """A submission with one part of its score."""

    submission: Submission
    row: Score
    score: PartScore
    is_under_review: bool
    is_flagged: bool

    def order(self) -> tuple[float, int, float]:
        created = self.submission.created.timestamp()
        return order_key(self.score.value, self.score.safetensors_bytes, created)

    def held(self, standing: Standing) -> Held:
        if not self.is_under_review or self.submission.kind != Submission.Kind.TEAM:
            return ""
        return "flag" if self.is_flagged else "first_place" if standing.rank == 1 else ""


def _standing(contest: Contest, view: View) -> Q:
    """A condition on evaluations.

    Rulings and choices are few and are read first: a join against every evaluation would keep the database from
    stopping at a team's best one.
    """
    in_force = Ruling.objects.in_force().filter(contest=contest)
    if view.with_hidden:
        in_force = in_force.filter(kind=Ruling.Kind.DISQUALIFIED)
    ruled_out = list(in_force.values_list("team", "submission"))
    wanted = Q(status=Evaluation.Status.SCORED, is_current=True, is_repeat=False)
    if teams := [team for team, _ in ruled_out if team]:
        wanted &= ~Q(submission__team__in=teams) | Q(submission__team__isnull=True)
    if submissions := [submission for _, submission in ruled_out if submission]:
        wanted &= ~Q(submission__in=submissions)
    if view.as_of is not None:
        wanted &= Q(submission__created__lt=view.as_of)
    if view.only_final:
        final = finalists.going(contest, wanted)
        wanted &= Q(submission__in=[one for entries in final.values() for one in entries]) | Q(
            submission__team__isnull=True
        )
    return wanted


def _best_of_teams(contest: Contest, may_stand: Q, part: Part) -> list[_Scored]:
    public = F("score__value")
    private = Cast(KeyTextTransform("value", "score__private"), FloatField())
    order = public.desc() if part == "public" else Coalesce(private, public).desc()
    standing = Evaluation.objects.filter(may_stand, score__team=OuterRef("pk"))
    best = standing.order_by(order, "score__safetensors_bytes", "submission__created")
    if contest.rules.scoring.counts == "last":
        best = standing.order_by("-submission__created", "-pk")
    elif contest.rules.scoring.counts == "chosen":
        is_chosen = FinalChoice.objects.filter(submission=OuterRef("submission"))
        best = best.order_by(Exists(is_chosen).desc(), *best.query.order_by)
    teams = Team.objects.filter(contest=contest).annotate(best=Subquery(best.values("pk")[:1]))
    found = list(teams.filter(best__isnull=False).values_list("best", flat=True))
    return _read(Evaluation.objects.filter(pk__in=found), part)


def _best_of_organisers(contest: Contest, may_stand: Q, part: Part) -> Iterable[_Scored]:
    """The best entry for each title. There are only a handful of these submissions, so all are read."""
    theirs = Evaluation.objects.filter(
        may_stand, submission__contest=contest, submission__kind__in=ORGANISERS
    )
    best: dict[tuple[str, str], _Scored] = {}
    for found in _read(theirs, part):
        who = (found.submission.kind, found.submission.title)
        if who not in best or found.order() < best[who].order():
            best[who] = found
    return best.values()


def _read(evaluations: QuerySet[Evaluation], part: Part) -> list[_Scored]:
    rows = evaluations.select_related("submission__team", "score").only(
        "status",
        "review_until",
        "flags",
        "submission__kind",
        "submission__title",
        "submission__created",
        "submission__team__name",
        *(f"score__{name}" for name in (*PartScore.__slots__, "private")),
    )
    return [
        _Scored(e.submission, e.score, e.score.of(part), e.review_until is not None, bool(e.flags))
        for e in rows
        if e.score
    ]


def _contenders(ordered: list[_Scored], part: Part) -> list[Contender]:
    """The rows to rank, with replicates loaded for those rows only, not for every submission."""
    column = "private_replicates" if part == "private" else "replicates"
    stored = dict(
        Score.objects.filter(pk__in=[found.row.pk for found in ordered]).values_list("pk", column)
    )
    return [
        Contender(found.score.value, found.score.half_width, bytes(stored[found.row.pk]))
        for found in ordered
    ]


def confirmations(contest: Contest) -> dict[int, Confirmation]:
    """Submission → how far its place is confirmed, for those whose place is, or was, measured again."""
    scoring = contest.rules.scoring
    if scoring.repeats != "pooled":
        return {}
    found = Pool.objects.filter(first__contest=contest, won__isnull=False)
    return {
        entry: Confirmation(len(counted), scoring.confirm_measurements, is_under_way)
        for entry, counted, is_under_way in found.values_list("first", "counted", "is_confirming")
    }


def _scored_counts(contest: Contest, as_of: datetime | None) -> dict[int | None, int]:
    """How many submissions of each team were scored; of a frozen board, of those entered before."""
    scored = Evaluation.objects.current().scored().of_contest(contest)
    scored = scored.filter(submission__kind=Submission.Kind.TEAM)
    if as_of is not None:
        scored = scored.filter(submission__created__lt=as_of)
    return dict(scored.values_list("submission__team").annotate(n=Count("pk")))
