"""The board as it is shown, remembered under ``Contest.board_version``: never older than the last result.

A contest given to a function here must be fresh from the database or from :func:`contest`: its
``board_version`` is the key.
"""

from __future__ import annotations

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
LINES = 8  # teams in the picture of scores over time, and the reader's own


def contest(slug: str) -> Contest:
    """The contest as it is now, to be read only.

    Raises:
        Contest.DoesNotExist: or it has no rules yet.
    """
    return read(slug, None).contest


@dataclass(frozen=True, slots=True)
class Read:
    """The contest as it is now, to be read only; this person's team in it; a name for this state of its row."""

    contest: Contest
    team_id: int | None
    state: str


def read(slug: str, user_id: int | None) -> Read:
    """The contest, for this person.

    One cheap query: PostgreSQL gives every state of a row its own ``ctid`` and ``xmin``, and the row is fetched
    and made an object again only when they are new.

    Raises:
        Contest.DoesNotExist: or it has no rules yet.
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
    """A board, how it is seen, and the name under which all that is made of it is remembered."""

    key: str = ""
    view: View = field(default_factory=View)


def seen_by(user: User | AnonymousUser, contest: Contest) -> Shown:
    """The board now, as this person may see it."""
    return shown(contest, ranking.view_of(user, contest))


def of_part(user: User | AnonymousUser, contest: Contest, part: Part) -> Shown | None:
    """The board over a part of the questions; None while this person may not see that one."""
    if part == "public":
        return seen_by(user, contest)
    view = ranking.private_view(user, contest)
    return shown(contest, view) if view else None


def shown(contest: Contest, view: View) -> Shown:
    key = f"{version(contest)}:{view}"
    made = remember(f"board:{key}", lambda: ranking.board(contest, **asdict(view)).entries)
    return Shown(contest, contest.rules.scoring.formula, made, view.part, key, view)


def rows(board: Shown) -> dict[int, str]:
    """Each entry's row as HTML in the reader's language, by submission, best first."""
    language = get_language() or "en"
    return remember(f"rows:{board.key}:{language}", lambda: page_rows(board, public_ranks(board)))


def own_row(board: Shown, entry: Entry) -> str:
    """The row of an entry as those see it whose it is: made anew each time, as each has only one."""
    made = page_rows(board, public_ranks(board), [entry], is_mine=True)
    return made[entry.submission_id]


def public_ranks(board: Shown) -> dict[int | None, int]:
    """Where the teams of a private board stood on the public one; empty for the public one itself.

    Who does not see hidden teams is not told a rank that counts them.
    """
    if board.part == "public":
        return {}
    public = shown(board.contest, View(with_hidden=board.view.with_hidden))
    return {entry.team_id: entry.rank for entry in public.ranked if entry.team_id}


def front(board: Shown) -> frozenset[int]:
    """The submissions that no other one beats on all axes of the picture."""
    return remember(f"front:{board.key}", lambda: columns.front(board.entries))


def points(board: Shown) -> str:
    """What the picture shows, as JSON: entry by entry."""
    return remember(f"points:{board.key}", lambda: _points(board))


def lines(board: Shown, team_id: int | None = None) -> list[Line]:
    """The best score over time: of the first teams and of one more, best first."""
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
    """Names one state of one contest's board, for keys and ETags."""
    born = int(contest.created.timestamp() * 1e6)  # a contest made anew is another contest
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
