"""What applying a batch would do: verdicts, score changes, rank moves, and how well measurements agree."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, CharField, F, Value, When

from grader.scoring.ranking import order_key
from leaderboard.batches.headtohead import HeadToHead, head_to_head
from leaderboard.board import ranking
from leaderboard.models import Batch, BatchItem, Evaluation, Ruling, Submission

MEDALS = 3
NOWHERE = 10**6  # stands for "not on the board"
SHOWN = 200  # rows of a table
POINTS = 2000  # points in the chart


@dataclass(frozen=True, slots=True)
class Change:
    """One entry's score before and after."""

    submission_id: int
    entrant: str
    old: float
    new: float

    @property
    def delta(self) -> float:
        return self.new - self.old


@dataclass(frozen=True, slots=True)
class Move:
    """One team's rank and best score before and after; None means not on the board."""

    entrant: str
    team_id: int | None
    old_rank: int | None
    new_rank: int | None
    old_score: float | None
    new_score: float | None

    @property
    def up(self) -> int:
        """How many ranks it rises; negative if it falls."""
        return (self.old_rank or NOWHERE) - (self.new_rank or NOWHERE)

    @property
    def is_medal(self) -> bool:
        """Whether it enters, leaves or moves within the medal ranks."""
        return min(self.old_rank or NOWHERE, self.new_rank or NOWHERE) <= MEDALS


@dataclass(frozen=True, slots=True)
class WorkerSpread:
    """How one worker's measurements in a regrade deviate from the mean over all workers for the same entry."""

    worker: str
    measurements: int
    mean_difference: float
    spread: float


@dataclass(frozen=True, slots=True)
class Review:
    """The whole review.

    Attributes:
        total, done: entries of the batch, and those with an outcome.
        matrix: (old verdict, new verdict, count), most frequent first; "–" while there is none.
        changes: entries whose score moves by more than the batch's noise threshold, largest first.
        quiet: how many move by less, or not at all.
        points: (old, new) of a sample of all scored entries, for the chart.
        moves: rank changes: medals first, then the largest.
        teams: ranked before or after.
        workers: for repeated measurements.
        duel: the entries side by side, if they were measured on several workers.
        problems: notes on entries without a new verdict, with their counts.
    """

    total: int
    done: int
    matrix: list[tuple[str, str, int]]
    changes: list[Change]
    changed: int
    quiet: int
    points: list[tuple[float, float]]
    moves: list[Move]
    teams: int
    workers: list[WorkerSpread]
    duel: HeadToHead | None
    problems: list[tuple[str, int]]


def review(batch: Batch) -> Review:
    """Computed from the rows; nothing is written."""
    rows = list(_items(batch))
    deltas = [
        Change(row["submission_id"], _entrant(row), row["old_value"], row["new_value"])
        for row in rows
        if row["old_value"] is not None and row["new_value"] is not None
    ]
    loud = [change for change in deltas if abs(change.delta) > batch.noise]
    loud.sort(key=lambda change: -abs(change.delta))
    step = max(1, len(deltas) // POINTS)
    moves, teams = _moves(batch, rows)
    return Review(
        total=len(rows),
        done=sum(r["new"] is not None or bool(r["note"]) for r in rows),
        matrix=[
            (old, new, count)
            for (old, new), count in Counter(
                (r["old_status"], r["new_status"] or "–") for r in rows
            ).most_common()
        ],
        changes=loud[:SHOWN],
        changed=len(loud),
        quiet=len(deltas) - len(loud),
        points=[(change.old, change.new) for change in deltas[::step]],
        moves=moves,
        teams=teams,
        workers=_spreads(batch),
        duel=head_to_head(batch),
        problems=Counter(r["note"] for r in rows if r["note"]).most_common(),
    )


def _items(batch: Batch) -> Iterator[dict[str, Any]]:
    # A rescore keeps the evaluation, and with it the verdict.
    found = BatchItem.objects.filter(batch=batch).values(
        "submission_id",
        "new",
        "note",
        kind=F("submission__kind"),
        team=F("submission__team"),
        name=F("submission__team__name"),
        title=F("submission__title"),
        entered=F("submission__created"),
        old_status=Case(
            When(old_score__isnull=False, then=Value(Evaluation.Status.SCORED.value)),
            default=F("old__status"),
            output_field=CharField(),
        ),
        new_status=Case(
            When(new_score__isnull=False, then=Value(Evaluation.Status.SCORED.value)),
            default=F("new__status"),
            output_field=CharField(),
        ),
        old_value=F("old_score__value"),
        old_bytes=F("old_score__safetensors_bytes"),
        new_value=F("new_score__value"),
        new_bytes=F("new_score__safetensors_bytes"),
    )
    yield from found.order_by("pk").iterator(chunk_size=5000)  # type: ignore[misc]


def _entrant(row: dict[str, Any]) -> str:
    return str(row["name"] or row["title"] or Submission.Kind(row["kind"]).label)


def _moves(batch: Batch, rows: list[dict[str, Any]]) -> tuple[list[Move], int]:
    """Ranks of the teams before and after, and how many teams there are."""
    ruled = Ruling.objects.in_force().filter(contest=batch.contest)
    out_entries = set(ruled.values_list("submission", flat=True))
    out_teams = set(ruled.values_list("team", flat=True))
    before: dict[int, tuple[Any, ...]] = {}
    after: dict[int, tuple[Any, ...]] = {}
    names: dict[int, str] = {}

    def enter(row: dict[str, Any]) -> None:
        team = row["team"]
        if team is None or team in out_teams or row["submission_id"] in out_entries:
            return
        names[team] = row["name"]
        # no outcome yet: applying would not change it
        untouched = row["new"] is None
        after_value = row["old_value"] if untouched else row["new_value"]
        after_bytes = row["old_bytes"] if untouched else row["new_bytes"]
        for board, value, size in (
            (before, row["old_value"], row["old_bytes"]),
            (after, after_value, after_bytes),
        ):
            if value is None:
                continue
            key = order_key(value, size, row["entered"].timestamp())
            if team not in board or key < board[team]:
                board[team] = key

    for row in rows:
        enter(row)
    others = ranking.standing_evaluations(batch.contest).filter(
        submission__kind=Submission.Kind.TEAM
    )
    mine = BatchItem.objects.filter(batch=batch).values("submission")
    for other in others.exclude(submission__in=mine).values(
        "submission_id",
        team=F("submission__team"),
        name=F("submission__team__name"),
        entered=F("submission__created"),
        old_value=F("score__value"),
        old_bytes=F("score__safetensors_bytes"),
    ):
        enter({**other, "new": None})
    old_ranks, new_ranks = _ranks(before), _ranks(after)
    moves = [
        Move(
            entrant=name,
            team_id=team,
            old_rank=old_ranks.get(team),
            new_rank=new_ranks.get(team),
            old_score=-before[team][0] if team in before else None,
            new_score=-after[team][0] if team in after else None,
        )
        for team, name in names.items()
        if old_ranks.get(team) != new_ranks.get(team)
    ]
    moves.sort(key=_medals_then_longest)
    return moves, len(names)


def _medals_then_longest(move: Move) -> tuple[int, ...]:
    new = move.new_rank or NOWHERE
    return (0, new, 0) if move.is_medal else (1, -abs(move.up), new)


def _ranks(best: dict[int, tuple[Any, ...]]) -> dict[int, int]:
    ordered = sorted(best, key=lambda team: best[team])
    return {team: place for place, team in enumerate(ordered, 1)}


def _spreads(batch: Batch) -> list[WorkerSpread]:
    """Per worker, how its measurements differ from the mean for the same entry."""
    if batch.kind != Batch.Kind.REGRADE:
        return []
    runs: dict[int, list[tuple[str, float]]] = defaultdict(list)
    measured = batch.evaluations.filter(score__isnull=False, worker__isnull=False)
    for entry, worker, value in measured.values_list("submission", "worker__name", "score__value"):
        runs[entry].append((str(worker), value))
    differences: dict[str, list[float]] = defaultdict(list)
    for same in runs.values():
        if len(same) > 1:
            mean = statistics.fmean(value for _, value in same)
            for worker, value in same:
                differences[worker].append(value - mean)
    return [
        WorkerSpread(
            worker,
            len(found),
            statistics.fmean(found),
            statistics.stdev(found) if len(found) > 1 else 0.0,
        )
        for worker, found in sorted(differences.items())
    ]
