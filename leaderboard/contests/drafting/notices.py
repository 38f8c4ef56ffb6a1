"""What is worth knowing of a draft that was written all the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from leaderboard.contests.drafting.words import NOTICES


@dataclass(frozen=True, slots=True)
class Notice:
    """``values`` are for the sentence and the hint of ``code``."""

    code: str
    values: Mapping[str, object] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return str(NOTICES[self.code][0]) % self.values

    @property
    def hint(self) -> str:
        return str(NOTICES[self.code][1]) % self.values
