"""The board's rows as the page shows them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django import template
from django.template.loader import get_template

from leaderboard.board.ranking import Board, Entry
from leaderboard.core.svg import Scale
from leaderboard.models import PartScore

# Line breaks and indentation help readers of the template, but would be sent with each of 630 rows.
LINE_BREAK = re.compile(r"[ \n]*\n[ \n]*")


def rows(
    board: Board,
    earlier_ranks: Mapping[int | None, int],
    only: Collection[Entry] = (),
    *,
    is_mine: bool = False,
) -> dict[int, str]:
    """Rows by submission, best first: for every entry, or some.

    Args:
        is_mine: the rows are the reader's own, and are highlighted. Others do not depend on the reader.
    """
    entries, found = board.entries, {}
    row = get_template("leaderboard/_ranking_row.html").template  # type: ignore[attr-defined]
    scores, terms = _score_scale(entries), _terms_scale(entries)
    base = terms.at(board.base.score.value) if board.base else None
    followed = [entry.tied for entry in entries[1:]] + [False]
    context = template.Context(
        {"contest": board.contest, "base_at": base, "zero": terms.at(0.0), "is_mine": is_mine}
    )
    for entry, is_followed in zip(entries, followed, strict=False):
        if only and entry not in only:
            continue
        with context.push(
            entry=entry,
            score=entry.score,
            moved=earlier_ranks[entry.team_id] - entry.rank
            if entry.team_id in earlier_ranks
            else 0,
            tie=_tie(entry.tied, is_followed),
            whisker=_whisker(entry.score, scores),
            parts=_parts(entry.score, terms),
            **entry.terms,
        ):
            found[entry.submission_id] = LINE_BREAK.sub(" ", row.render(context))
    return found


def _tie(above: bool, below: bool) -> str:
    """Which piece of the bracket in the margin a row gets."""
    return ("tie-middle" if below else "tie-last") if above else "tie-first" if below else ""


def _score_scale(entries: Sequence[Entry]) -> Scale:
    """A shared scale for the whiskers of all rows."""
    ends = [e.score.value + sign * e.score.half_width for e in entries for sign in (-1, 1)]
    return Scale(min(ends), max(ends)) if ends else Scale(0, 1)


def _terms_scale(entries: Sequence[Entry]) -> Scale:
    """A shared scale for the stacked bars of all rows: terms below zero extend to the left of it."""
    lows, highs = [0.0], [0.1]
    for entry in entries:
        points = [term["points"] for term in entry.score.terms]
        lows.append(sum(p for p in points if p < 0))
        highs.append(sum(p for p in points if p > 0))
    return Scale(min(lows), max(highs))


def _whisker(score: PartScore, scale: Scale) -> dict[str, float]:
    """A score with its 95 % interval."""
    return {
        "low": scale.at(score.value - score.half_width),
        "mid": scale.at(score.value),
        "high": scale.at(score.value + score.half_width),
    }


def _parts(score: PartScore, scale: Scale) -> list[dict[str, Any]]:
    """The terms' points end to end: positive ones to the right of zero, negative ones to the left."""
    right, left, parts = 0.0, 0.0, []
    for term in score.terms:
        points = term["points"]
        if points >= 0:
            start, right = right, right + points
        else:
            left = start = left + points
        x = scale.at(start)
        width = round(scale.at(start + abs(points)) - x, 1)
        if width > 0:
            parts.append({"term": term, "x": x, "width": width, "is_negative": points < 0})
    return parts
