"""Notices about a draft that was written anyway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from leaderboard.contests.drafting.words import NOTICES


@dataclass(frozen=True, slots=True)
class Notice:
    """``values`` fill the sentence and the hint of ``code``."""

    code: str
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return str(NOTICES[self.code][0]) % self.values

    @property
    def hint(self) -> str:
        return str(NOTICES[self.code][1]) % self.values
