"""Ways to cheat, each one a program that plays against the grader: ``make cheats``.

A cheat is a module of this package with a function ``play() -> Outcome``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What one cheat gained.

    ``gain`` is in points of the contest's score, over an honest entry of the same model. It is what counts
    without a person having looked: an entry that is rejected or held gains nothing.
    """

    gain: float
    caught_by: str
    figures: dict[str, Any] = field(default_factory=dict)
