"""Teams: members, invitation links, captains, and merging.

Every verb locks the team's row, so that concurrent requests get correct answers, and appends to its history
(``TeamEvent``). What is not allowed raises ``Refused`` with a code ``TEAM_…``.
"""

from __future__ import annotations

from leaderboard.teams.finals import by_shown_score, choosable, choose
from leaderboard.teams.invitations import accept, address, invite, opened, revoke, still_open
from leaderboard.teams.members import create, hand_over, leave, remove, rename
from leaderboard.teams.merging import accept as merge
from leaderboard.teams.merging import close, offer
from leaderboard.teams.rules import is_closed, may_merge, require_captain, require_member

__all__ = [
    "accept",
    "address",
    "by_shown_score",
    "choosable",
    "choose",
    "close",
    "create",
    "hand_over",
    "invite",
    "is_closed",
    "leave",
    "may_merge",
    "merge",
    "offer",
    "opened",
    "remove",
    "rename",
    "require_captain",
    "require_member",
    "revoke",
    "still_open",
]
