"""Ending a contest: finalised once, sealed with all evidence, checked by whoever doubts.

    obstacles    what has to be done before
    finalising   the act: from then on the database itself refuses to change what the board stands on
    evidence     what goes into the archive, file by file
    archive      a deterministic zip with a manifest, streamed
    sealing      the manifest's digest in the audit log, which nobody can change; verifying against it

There is no way back: a result that could be reopened would be no result.
"""

from __future__ import annotations

from leaderboard.organisers.closing.finalise import finalise
from leaderboard.organisers.closing.obstacles import obstacles
from leaderboard.organisers.closing.seal import Verdict, export, is_unsealed, seal, sealed, verify

__all__ = [
    "Verdict",
    "export",
    "finalise",
    "is_unsealed",
    "obstacles",
    "seal",
    "sealed",
    "verify",
]
