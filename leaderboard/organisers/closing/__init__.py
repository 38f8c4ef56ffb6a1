"""Ending a contest: finalized once, sealed with all evidence, verifiable by anyone.

    obstacles    what has to be done first
    finalise     the final step: the database then refuses to change what the board depends on
    evidence     what goes into the archive, file by file
    archive      a deterministic zip with a manifest, streamed
    seal         the manifest's digest in the audit log, which nobody can change; verifying against it

It cannot be undone: a result that can be reopened is not a result.
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
