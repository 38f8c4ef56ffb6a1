"""The board's columns, each declared once: pages, sorting, exports, API, chart and CLI follow from here.

Nothing here formats a number: a column names its unit, and each output formats units its own way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from django.utils.translation import gettext_lazy as _

from leaderboard.board.ranking import Entry

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Unit = Literal["share", "bytes", "factor", "count", "time"]
Best = Literal["smallest", "largest"]
Screen = Literal["phone", "tablet", "desktop"]


@dataclass(frozen=True, slots=True)
class Sortable:
    """An order that the board can be sorted by.

    Attributes:
        key: in the query string.
        heading: over the column; ``name``: within a sentence.
        best: which end comes first.
    """

    key: str
    heading: StrPromise
    name: StrPromise
    value: Callable[[Entry], Any]
    best: Best


@dataclass(frozen=True, slots=True)
class Axis:
    """A column as an axis of the chart; the Pareto front compares entries on these axes.

    Attributes:
        key: in the chart's data.
        digits: that the chart needs; None for whole numbers.
    """

    key: str
    label: StrPromise
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class Column(Sortable):
    """A column of figures, to the right of the bar of terms.

    Attributes:
        field: of an entry in JSON and CSV.
        screen: the smallest screen that shows it.
        change: relative to the base model, in small type next to the figure; likewise ``half_width``.
        of_teams: blank in the organizers' rows.
        terminal: heading in ``baseline board``; without one the column is not shown there.
    """

    field: str
    unit: Unit
    screen: Screen = "tablet"
    change: Callable[[Entry], float | None] | None = None
    half_width: Callable[[Entry], float] | None = None
    of_teams: bool = False
    axis: Axis | None = None
    terminal: str = ""


def _change(term: str) -> Callable[[Entry], float | None]:
    def change(entry: Entry) -> float | None:
        found = entry.terms[term]
        return found["measured"] / found["base"] - 1 if found["base"] else None

    return change


def _speedup_half_width(entry: Entry) -> float:
    """From the half-width of the speed term, a time ratio r: dx = dr / r²."""
    speed = entry.terms["speed"]
    return float(speed["half_width"] / speed["measured"] ** 2)


RANK = Sortable("rank", _("Rank"), _("rank"), lambda e: e.rank, "smallest")
TEAM = Sortable("team", _("Team"), _("team"), lambda e: e.entrant.casefold(), "smallest")
SCORE = Sortable("score", _("Score"), _("score"), lambda e: e.score.value, "largest")

# In the order of the table, of JSON and of CSV.
COLUMNS = (
    Column(
        "accuracy", _("Accuracy"), _("accuracy"), lambda e: e.score.accuracy, "largest",
        field="accuracy", unit="share", change=_change("accuracy"),
        axis=Axis("accuracy", _("Accuracy"), digits=6),
    ),
    Column(
        "size", _("Size"), _("checkpoint size"), lambda e: e.score.safetensors_bytes, "smallest",
        field="safetensors_bytes", unit="bytes", change=_change("memory"),
        axis=Axis("bytes", _("Checkpoint size")), terminal="bytes",
    ),
    Column(
        "speedup", _("Speed-up"), _("speed-up"), lambda e: e.score.speedup, "largest",
        field="speedup", unit="factor", half_width=_speedup_half_width,
        axis=Axis("speedup", _("Speed-up"), digits=5), terminal="speed-up",
    ),
    Column(
        "entries", _("Entries"), _("number of entries"), lambda e: e.submissions, "largest",
        field="submissions", unit="count", screen="desktop", of_teams=True,
    ),
    Column(
        "entered", _("Submitted"), _("submission time"), lambda e: e.submitted, "largest",
        field="submitted", unit="time", screen="desktop",
    ),
)  # fmt: skip
SORTABLE = {one.key: one for one in (RANK, TEAM, SCORE, *COLUMNS)}

# The chart's views: name, x axis, y axis and color.
PICTURES = (
    (_("Size × accuracy"), ("bytes", "accuracy", "speedup")),
    (_("Speed-up × accuracy"), ("speedup", "accuracy", "bytes")),
    (_("Size × speed-up"), ("bytes", "speedup", "accuracy")),
)
_ON_AXIS = {column.axis.key: column for column in COLUMNS if column.axis}
AXES = {key: _ON_AXIS[key] for key in PICTURES[0][1]}


def fields(entry: Entry) -> dict[str, Any]:
    """An entry's figures by field, in column order."""
    return {column.field: column.value(entry) for column in COLUMNS}


def for_terminals() -> list[dict[str, str]]:
    """The columns of a short table, next to rank, team, score and terms, for programs that print one."""
    return [
        {"field": column.field, "heading": column.terminal, "unit": column.unit}
        for column in COLUMNS
        if column.terminal
    ]


def point(entry: Entry) -> dict[str, float]:
    """An entry's position in the chart, by axis."""
    return {
        key: round(column.value(entry), column.axis.digits)
        for key, column in AXES.items()
        if column.axis
    }


def axes() -> list[dict[str, str]]:
    """The chart's axes for its script, in the reader's language."""
    return [
        {"key": key, "label": str(column.axis.label), "unit": column.unit, "best": column.best}
        for key, column in AXES.items()
        if column.axis
    ]


def front(entries: list[Entry]) -> frozenset[int]:
    """The submissions that no other one beats on all axes of the chart."""
    kept: list[tuple[tuple[float, ...], int]] = []
    points = sorted(((_goodness(entry), entry.submission_id) for entry in entries), reverse=True)
    # Sorted by the first axis, so only earlier ones can dominate.
    for good, submission in points:
        if not any(_beats(other, good) for other, _ in kept):
            kept.append((good, submission))
    return frozenset(submission for _, submission in kept)


def _goodness(entry: Entry) -> tuple[float, ...]:
    """An entry's values on the axes, with signs flipped so that more is better."""
    return tuple(
        column.value(entry) if column.best == "largest" else -column.value(entry)
        for column in AXES.values()
    )


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))
