"""The meaning of every key of a contest file, from its guide, ``docs/contest.md``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from django.conf import settings

from grader.contest import (
    AA,
    BaseModel,
    Benchmark,
    CheckpointRules,
    Compliance,
    Contest,
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

GUIDE = "docs/contest.md"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the file: its dotted name, its class, the guide's heading, and whether it can repeat."""

    name: str
    kind: type
    heading: str
    is_list: bool = False


_SPEED, _SCORING = "`[speed]` and `[[speed.shapes]]`", "`[scoring]` and `[scoring.formulas.NAME]`"

# In the order in which a file has them.
TABLES = (
    Table("", Contest, "Top level"),
    Table("base_model", BaseModel, "`[base_model]`"),
    Table("limits", Limits, "`[limits]`"),
    Table("checkpoint", CheckpointRules, "`[checkpoint]`"),
    Table("hardware", Hardware, "`[hardware]`"),
    Table("engine", Engine, "`[engine]`"),
    Table("benchmarks", Benchmark, "`[[benchmarks]]`", is_list=True),
    Table("speed", SpeedTest, _SPEED),
    Table("speed.shapes", SpeedShape, _SPEED, is_list=True),
    Table("aa", AA, "`[aa]`"),
    Table("compliance", Compliance, "`[compliance]`"),
    Table("scoring", Scoring, _SCORING),
    Table("scoring.formulas", Formula, _SCORING),
    Table("phases", Phase, "`[[phases]]`", is_list=True),
    Table("references", Reference, "`[[references]]`", is_list=True),
)


@cache
def meanings(heading: str) -> dict[str, str]:
    """Key -> its description without markup; keys in one row share it."""
    text = (settings.ROOT / GUIDE).read_text("utf-8")
    part = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    assert part, f"{GUIDE} has no part {heading}"
    found: dict[str, str] = {}
    for line in part[1].splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if len(cells) == 5 and cells[1].startswith("`"):
            for key in re.findall(r"`(\w+)`", cells[1]):
                found[key] = _plain(cells[3])
    return found


def _plain(words: str) -> str:
    return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", words).replace("`", "").replace("\\|", "|")
