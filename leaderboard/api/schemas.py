"""Types that operations share: text that PostgreSQL can store, and the board, field by field."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import AfterValidator, create_model

from leaderboard.board.columns import COLUMNS, Unit
from leaderboard.submissions.documents import TermOut


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


Text = Annotated[str, AfterValidator(_storable)]  # text that PostgreSQL can store


class ColumnOut(Schema):
    """A column for a short table of the entries: which field of an entry it shows, and the unit."""

    field: str
    heading: str
    unit: Unit


class _EntryHead(Schema):
    rank: int
    rank_interval: tuple[int, int]
    tied: bool
    team: str
    kind: Literal["team", "reference", "base"]
    submission: int
    score: float
    half_width: float
    terms: list[TermOut]


JSON_TYPES: dict[Unit, type] = {
    "share": float, "bytes": int, "factor": float, "count": int, "time": datetime,
}  # fmt: skip
_figures: Any = {column.field: (JSON_TYPES[column.unit], ...) for column in COLUMNS}
_Entry: Any = create_model("_Entry", __base__=_EntryHead, **_figures)


class EntryOut(_Entry):  # type: ignore[misc]
    """One row. Ranks count teams; an organizer's row (``base``, ``reference``) has the rank it would have.

    ``public_rank`` is null on the public board itself. ``held``: under review by staff, for a flagged check
    (``flag``) or as the first place; for the contest's hours at most.
    """

    public_rank: int | None
    held: bool
    held_because: Literal["flag", "first_place"] | None


class BoardOut(Schema):
    contest: str
    formula: str
    part: Literal["public", "private"]
    columns: list[ColumnOut]
    entries: list[EntryOut]
