"""What the reading calls answer, field by field, for OpenAPI; ``documents`` writes them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import AfterValidator, create_model

from leaderboard.board.columns import COLUMNS, Unit

Term = Literal["accuracy", "memory", "speed"]


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


Text = Annotated[str, AfterValidator(_storable)]  # what the database can be asked for and told


class ErrorOut(Schema):
    """Every refusal: a stable code, a sentence, what to do next."""

    code: str
    message: str
    hint: str


class TermOut(Schema):
    """One term: ``points`` = ``weight`` × ``value``; ``half_width`` of its 95 % interval.

    ``measured`` and ``base``: accuracy 0–1, bytes, or time against the base model's.
    """

    name: Term
    value: float
    half_width: float
    measured: float
    base: float
    weight: float
    points: float


class ColumnOut(Schema):
    """A column for a short table of the entries: which field of an entry, and its unit."""

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
    """One row. Ranks count teams; an organiser's row (``base``, ``reference``) has the place it would have.

    ``public_rank`` is null on the public board itself.
    """

    public_rank: int | None


class BoardOut(Schema):
    contest: str
    formula: str
    part: Literal["public", "private"]
    columns: list[ColumnOut]
    entries: list[EntryOut]


class StepOut(Schema):
    """An entry with which its team's best score rose."""

    submission: int
    at: datetime
    score: float
    half_width: float


class LineOut(Schema):
    team: str
    rank: int
    steps: list[StepOut]


class HistoryOut(Schema):
    contest: str
    part: Literal["public", "private"]
    lines: list[LineOut]


class ProblemOut(Schema):
    """``where`` is a file, tensor or key; sentence and hint are in the language of ``Accept-Language``."""

    code: str
    where: str
    detail: str
    stage: str
    fault: Literal["team", "system", "notice"]
    sentence: str
    hint: str


class HubOut(Schema):
    """A repository on the Hugging Face Hub, pinned to its commit when it was entered."""

    repo: str
    revision: str
    commit: str


class SubmissionOut(Schema):
    """``status``: queued, running, then scored, rejected (the team's mistake), failed (ours) or cancelled.

    ``position`` in the queue and the expected wait are null unless it waits.
    """

    id: int
    url: str
    contest: str
    kind: str
    team: str
    note: str
    archive_name: str
    archive_bytes: int
    archive_sha256: str
    hub: HubOut | None
    created: datetime
    status: Literal["queued", "running", "scored", "rejected", "failed", "cancelled"]
    stage: str
    progress: dict[str, Any]
    attempt: int
    position: int | None = None
    wait_s: float | None = None
    problems: list[ProblemOut]
    score: float | None
    half_width: float | None
    terms: list[TermOut]


class SubmissionsOut(Schema):
    """Newest first. ``next`` is the ``cursor`` of the page after this one; null on the last."""

    items: list[SubmissionOut]
    next: str | None


class ScoreOut(Schema):
    value: float
    half_width: float
    terms: list[TermOut]
    speedup: float
    accuracy: float
    safetensors_bytes: int


class ReportOut(Schema):
    """``report`` as the worker sent it, but for the questions: benchmarks have their values over ``part``."""

    submission: int
    part: Literal["public", "private"]
    score: ScoreOut
    report: dict[str, Any]


class AttemptOut(Schema):
    """One run on one worker; ``log`` is the redacted end of the engine's log, kept where it went wrong."""

    number: int
    worker: str
    started: datetime
    ended: datetime | None
    outcome: str
    problems: list[ProblemOut]
    log: str


class LogsOut(Schema):
    submission: int
    attempts: list[AttemptOut]


class QuotaOut(Schema):
    """Of a team's day in the contest's time zone; ``resets`` is when the next one begins."""

    limit: int
    used: int
    left: int
    rejected_limit: int
    rejected: int
    resets: datetime
