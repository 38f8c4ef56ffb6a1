"""A contest is data: one TOML file, its base model and its benchmarks. ``load(path)`` reads and validates
it."""

from __future__ import annotations

from grader.contest.changes import Change, Effect, changes, effect_of
from grader.contest.file import CONTESTS, ContestError, find, load, parse, uncapped
from grader.contest.lines import line_of
from grader.contest.parts import (
    AA,
    BaseModel,
    Benchmark,
    CheckpointRules,
    Compliance,
    Engine,
    Formula,
    Hardware,
    Limits,
    Phase,
    Reference,
    Scoring,
    SpeedShape,
    SpeedTest,
)
from grader.contest.rules import Contest, is_commit
from grader.text import Text

__all__ = [
    "AA",
    "CONTESTS",
    "BaseModel",
    "Benchmark",
    "Change",
    "CheckpointRules",
    "Compliance",
    "Contest",
    "ContestError",
    "Effect",
    "Engine",
    "Formula",
    "Hardware",
    "Limits",
    "Phase",
    "Reference",
    "Scoring",
    "SpeedShape",
    "SpeedTest",
    "Text",
    "changes",
    "effect_of",
    "find",
    "is_commit",
    "line_of",
    "load",
    "parse",
    "uncapped",
]
