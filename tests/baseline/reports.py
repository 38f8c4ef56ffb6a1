"""Builds a report as ``grade`` would return it, with any answers."""

from __future__ import annotations

from dataclasses import replace

from grader.protocol.documents import Report, System
from tests import factories_pure


def report(wrong: int = 4, quality: bool = True, speed: bool = True) -> Report:
    """Every ``wrong``-th of 40 questions is wrong. A part may be missing, as with ``--only``."""
    whole = factories_pure.report(
        pairs=[(float(i % wrong > 0), 1.0) for i in range(40)],
        rounds=[(1.0 + i / 100, 1.3) for i in range(8)],
    )
    return replace(
        whole,
        quality=whole.quality if quality else (),
        speed=whole.speed if speed else (),
        system=System("here", "cpu", "Some CPU", "Some CPU", 2, 1),  # not the contest's hardware
    )
