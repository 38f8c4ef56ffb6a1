"""The site's rows. Models are thin: verbs that change an evaluation are in ``lifecycle``, reads in ``queries``.

A submission is an immutable fact; an evaluation of it has the status; an attempt is one run of an evaluation;
a result is what was measured, stored unchanged; a score is the formula applied to it, appended, never edited.
"""

from __future__ import annotations

from leaderboard.models.audit import AuditEntry
from leaderboard.models.base import Created
from leaderboard.models.batch import Batch, BatchItem
from leaderboard.models.check import Check
from leaderboard.models.contest import Contest, ContestVersion
from leaderboard.models.evaluation import Attempt, Evaluation, PartScore, Result, Score, Transition
from leaderboard.models.figures import are_exact, public_figures
from leaderboard.models.grant import QuotaGrant
from leaderboard.models.notice import Delivery, Webhook
from leaderboard.models.people import Invitation, Membership, Merger, Profile, Team, TeamEvent
from leaderboard.models.pool import Pool
from leaderboard.models.ruling import FinalChoice, Ruling
from leaderboard.models.score_inputs import ScoreInputs, SharedInput
from leaderboard.models.submission import Submission
from leaderboard.models.token import ApiToken, Token
from leaderboard.models.upload import Upload
from leaderboard.models.worker import AARun, Worker

__all__ = [
    "AARun",
    "ApiToken",
    "Attempt",
    "AuditEntry",
    "Batch",
    "BatchItem",
    "Check",
    "Contest",
    "ContestVersion",
    "Created",
    "Delivery",
    "Evaluation",
    "FinalChoice",
    "Invitation",
    "Membership",
    "Merger",
    "PartScore",
    "Pool",
    "Profile",
    "QuotaGrant",
    "Result",
    "Ruling",
    "Score",
    "ScoreInputs",
    "SharedInput",
    "Submission",
    "Team",
    "TeamEvent",
    "Token",
    "Transition",
    "Upload",
    "Webhook",
    "Worker",
    "are_exact",
    "public_figures",
]
