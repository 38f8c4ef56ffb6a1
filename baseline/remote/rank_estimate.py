"""Estimates where a local score would rank on the site's board. Hardware differs, so it is only an estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from baseline.remote import credentials
from baseline.remote.client import Site
from baseline.terminal.errors import CliError
from baseline.terminal.output import note

TIMEOUT_S = 5.0  # short, because the estimate is optional


@dataclass(frozen=True, slots=True)
class Estimate:
    """``rank`` out of ``teams`` (including this entry); ``best`` to ``worst`` is the range the intervals
    allow."""

    site: str
    rank: int
    best: int
    worst: int
    teams: int
    formula: str


def estimate(contest: str, score: float, half_width: float, size_bytes: int) -> Estimate | None:
    """Return the rank on the board at the last login's site; None if there is no site or it is unreachable."""
    try:
        url, token = credentials.resolve("", "", token_needed=False)
    except CliError:
        return None  # never logged in: nothing to compare with
    try:
        with Site(url, token) as site:
            site.http.timeout = TIMEOUT_S
            board = site.board(contest)
            own = _own_team(site, contest) if token else ""
    except CliError as error:
        note(f"No rank estimate: {error.message}")
        return None
    return place(board, score, half_width, size_bytes, url, own)


def place(
    board: dict[str, Any],
    score: float,
    half_width: float,
    size_bytes: int,
    url: str = "",
    own: str = "",
) -> Estimate:
    """Insert a score among a board's teams as the site would, replacing the team's current entry."""
    from grader.scoring.ranking import Contender, order_key, rank

    others = [
        (Contender(float(entry["score"]), float(entry.get("half_width") or 0.0)),
         int(entry.get("safetensors_bytes") or 0))
        for entry in board.get("entries") or []
        if entry.get("kind") == "team" and entry.get("team") != own
    ]  # fmt: skip
    mine = (Contender(score, half_width), size_bytes)
    # submitted now, so after everyone else
    ordered = sorted([*others, mine], key=lambda one: order_key(one[0].value, one[1], one is mine))
    standing = rank([one for one, _ in ordered], [True] * len(ordered))[ordered.index(mine)]
    return Estimate(
        url,
        standing.rank,
        standing.best,
        standing.worst,
        len(ordered),
        str(board.get("formula", "")),
    )


def _own_team(site: Site, contest: str) -> str:
    teams = site.me().get("teams") or []
    return next((str(team["name"]) for team in teams if team.get("contest") == contest), "")
