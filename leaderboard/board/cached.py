"""The rendered board, cached under ``Contest.board_version``, so it is never older than the last result.

A contest passed to a function here must be fresh from the database or from :func:`contest`, because its
``board_version`` is the cache key.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass, field

from django.contrib.auth.models import AnonymousUser, User
from django.db import connection
from django.utils.translation import get_language

from grader.scoring.parts import Part
from leaderboard.board import columns, history, ranking
from leaderboard.board.history import Line
from leaderboard.board.listing import PAGE
from leaderboard.board.ranking import Board, Entry, View
from leaderboard.board.rows import rows as page_rows
from leaderboard.core.cache import remember
from leaderboard.models import Contest
from leaderboard.workers import queue as workers_queue
from leaderboard.workers.queue import Queue

QUEUE_SHOWN_S = 5
LINES = 8  # teams in the chart of scores over time, besides the reader's own


def contest(slug: str) -> Contest:
    """The current contest, read-only.

    Raises:
        Contest.DoesNotExist: also if it has no rules yet.
    """
    return read(slug, None).contest


@dataclass(frozen=True, slots=True)
class Read:
    """The current contest, read-only; this person's team in it; a name for the state of the contest's row."""

    contest: Contest
    team_id: int | None
    state: str


def read(slug: str, user_id: int | None) -> Read:
    """The contest as this person may see it.

    One cheap query: PostgreSQL gives every state of a row its own ``ctid`` and ``xmin``, so the full row is
    fetched only when they have changed.

    Raises:
        Contest.DoesNotExist: also if it has no rules yet.
    """
    team = _TEAM if user_id else "NULL"
    sql = f"SELECT ctid::text, xmin::text, {team} FROM leaderboard_contest WHERE slug = %s"  # noqa: S608 - constants
    with connection.cursor() as cursor:
        cursor.execute(sql, [user_id, slug] if user_id else [slug])
        found = cursor.fetchone()
    if found is None:
        raise Contest.DoesNotExist
    state = f"{slug}:{found[:2]}"
    made = remember(f"contest:{state}", lambda: _loaded(slug), is_shared=False)
    return Read(made, found[2], state)


_TEAM = (
    "(SELECT team_id FROM leaderboard_membership"
    " WHERE contest_id = leaderboard_contest.slug AND user_id = %s)"
)


def _loaded(slug: str) -> Contest:
    return Contest.objects.in_force().get(slug=slug)


@dataclass(frozen=True, slots=True)
class Shown(Board):
    """A board, how it is viewed, and the cache key prefix for everything derived from it."""

    key: str = ""
    view: View = field(default_factory=View)


def seen_by(user: User | AnonymousUser, contest: Contest) -> Shown:
    """The current board as this person may see it."""
    return shown(contest, ranking.view_of(user, contest))


def leading(user: User | AnonymousUser, contest: Contest) -> Shown:
    """The final result once it is public; until then the public board, as this person may see it."""
    return shown(contest, ranking.leading_view(user, contest))


def of_part(user: User | AnonymousUser, contest: Contest, part: Part) -> Shown | None:
    """The board over one part of the questions; None if this person may not see that part."""
    if part == "public":
        return seen_by(user, contest)
    view = ranking.private_view(user, contest)
    return shown(contest, view) if view else None


def shown(contest: Contest, view: View) -> Shown:
    key = f"{version(contest)}:{view}"
    made = remember(f"board:{key}", lambda: ranking.board(contest, **asdict(view)).entries)
    return Shown(contest, contest.rules.scoring.formula, made, view.part, key, view)


def state(board: Shown) -> str:
    """Names what the board shows, for ETags: of a frozen board the version moves on, and nothing else may."""
    if board.view.as_of is None:
        return board.key
    return remember(
        f"state:{board.key}", lambda: hashlib.sha256(repr(board.entries).encode()).hexdigest()
    )


def rows(board: Shown) -> dict[int, str]:
    """Each entry's row as HTML in the reader's language, by submission, best first."""
    language = get_language() or "en"
    return remember(f"rows:{board.key}:{language}", lambda: page_rows(board, public_ranks(board)))


def own_row(board: Shown, entry: Entry) -> str:
    """The row as the entry's own team sees it; not cached, because each team has only one."""
    made = page_rows(board, public_ranks(board), [entry], is_mine=True)
    return made[entry.submission_id]


def public_ranks(board: Shown) -> dict[int | None, int]:
    """The teams' ranks on the public board, for a private board; empty for the public board.

    Readers who may not see hidden teams get ranks that do not count them.
    """
    if board.part == "public":
        return {}
    public = shown(board.contest, View(with_hidden=board.view.with_hidden))
    return {entry.team_id: entry.rank for entry in public.ranked if entry.team_id}


def front(board: Shown) -> frozenset[int]:
    """The submissions that no other one beats on all axes of the chart."""
    return remember(f"front:{board.key}", lambda: columns.front(board.entries))


def points(board: Shown) -> str:
    """The chart's points as JSON, entry by entry."""
    return remember(f"points:{board.key}", lambda: _points(board))


def lines(board: Shown, team_id: int | None = None) -> list[Line]:
    """Best score over time of the top teams and one more, best first."""
    top = [entry.team_id for entry in board.ranked[:LINES] if entry.team_id]
    own = team_id if team_id not in top and board.of_team(team_id) else None
    found = remember(
        f"lines:{board.key}", lambda: history.history(board, board.view, top), is_shared=False
    )
    return found + history.history(board, board.view, [own]) if own else found


def queue(contest: Contest) -> Queue:
    """How busy the graders are; a few seconds old at most."""
    moment = int(time.time() / QUEUE_SHOWN_S)
    key = f"queue:{version(contest)}:{moment}"
    return remember(key, lambda: workers_queue.queue(contest), is_shared=False)


def version(contest: Contest) -> str:
    """Identifies one state of one contest's board, for cache keys and ETags."""
    # Distinguishes a contest that was deleted and created again from the old one.
    born = int(contest.created.timestamp() * 1e6)
    return f"{contest.slug}:{born}:{contest.board_version}"


def _points(board: Board) -> str:
    entries = [
        {
            "name": entry.entrant,
            "kind": entry.kind,
            "team": entry.team_id,
            "row": f"entry-{entry.submission_id}",
            "page": at // PAGE + 1,
            "score": entry.score.value,
            **columns.point(entry),
        }
        for at, entry in enumerate(board.entries)
    ]
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
