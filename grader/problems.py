"""Every way a submission can fail: one stable code each, with a stage, a sentence and a next step.

The list is the contract between the checker, the worker, the site, the CLI and the documentation; tests hold
all of them to it. Codes are stable for ever; sentences may be improved.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Stage(enum.StrEnum):
    """Where a submission stands on its way. Information for people, not a state."""

    UPLOAD = "upload"  # bytes arriving at the site
    CHECK = "check"  # unpacked and read strictly, headers only, on the site's own queue
    WAIT = "wait"  # checked, waiting for a worker
    FETCH = "fetch"  # the worker downloads and rebuilds the canonical folder
    LOAD = "load"  # engines start
    QUALITY = "quality"  # benchmarks run
    SPEED = "speed"  # paired rounds against the base model
    SCORE = "score"  # the site applies the formula


class Fault(enum.StrEnum):
    """Whose move it is."""

    TEAM = "team"  # the evaluation ends as rejected
    SYSTEM = "system"  # ours: retried, never costs the team anything
    NOTICE = "notice"  # worth saying, changes nothing


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding about one submission.

    Attributes:
        code: key into :data:`CATALOGUE`.
        where: file, tensor or key concerned; already cleaned for display; may be empty.
        detail: facts in numbers and names (``expected [256, 256], found [256, 128]``); language-neutral.
    """

    code: str
    where: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a code means. ``sentence`` and ``hint`` exist in English and Korean."""

    stage: Stage
    fault: Fault
    sentence_en: str
    sentence_ko: str
    hint_en: str
    hint_ko: str

    def sentence(self, language: str) -> str:
        return self.sentence_ko if language.startswith("ko") else self.sentence_en

    def hint(self, language: str) -> str:
        return self.hint_ko if language.startswith("ko") else self.hint_en


CATALOGUE: dict[str, Kind] = {}
