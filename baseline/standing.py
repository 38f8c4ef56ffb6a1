"""Where a score measured here would stand on the site's board: an estimate, because hardware differs."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Any

from baseline import credentials
from baseline.client import Site
from baseline.errors import CliError
from baseline.output import note


@dataclass(frozen=True, slots=True)
class Estimate:
    """``rank`` of ``teams`` (this entry counted); ``best`` to ``worst`` is what the intervals leave open."""

    site: str
    rank: int
    best: int
    worst: int
    teams: int
    formula: str


def estimate(contest: str, score: float, half_width: float, own_team: str = "") -> Estimate | None:
    """The rank on the board of the last login's site; None when there is no site, or it is out of reach."""
    try:
        url, token = credentials.resolve("", "", token_needed=False)
    except CliError:
        return None  # never logged in: nothing to compare with
    try:
        with Site(url, token, patience=1) as site:
            board = site.board(contest)
            own = own_team or (_own_team(site, contest) if token else "")
    except CliError as error:
        note(f"No rank estimate: {error.message}")
        return None
    return place(board, score, half_width, url, own)


def place(board: dict[str, Any], score: float, half_width: float, url: str = "", own: str = "") -> Estimate:
    """Put a score among a board's teams; the own team's present entry makes room for it."""
    others = [
        (float(entry["score"]), float(entry.get("half_width") or 0.0))
        for entry in board.get("entries") or []
        if entry.get("kind") == "team" and entry.get("team") != own
    ]
    better = sum(value - score > (half**2 + half_width**2) ** 0.5 for value, half in others)
    worse = sum(score - value > (half**2 + half_width**2) ** 0.5 for value, half in others)
    above = len(others) - bisect.bisect_right(sorted(value for value, _ in others), score)
    teams = len(others) + 1
    return Estimate(url, above + 1, better + 1, teams - worse, teams, str(board.get("formula", "")))


def _own_team(site: Site, contest: str) -> str:
    teams = site.me().get("teams") or []
    return next((str(team["name"]) for team in teams if team.get("contest") == contest), "")
