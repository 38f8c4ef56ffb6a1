"""The benchmarks that a drafted contest can use, and the files they need."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from grader.contest import CONTESTS
from leaderboard.contests.drafting.gpus import near
from leaderboard.contests.drafting.words import refused

LIST = Path(__file__).with_name("benchmarks.toml")
TASKS = Path(__file__).with_name("tasks")
ON_GPU = ("gsm8k", "ifeval", "arc-challenge")
# These take minutes instead of hours, and need no network.
ON_CPU = ("word-problems", "choose-solution")
# Entries that are not keys of the contest file.
_OURS = ("prompt_tokens", "tasks", "data")


@dataclass(frozen=True, slots=True)
class Known:
    """A benchmark by its id: the keys of its table, the longest prompt, the files it needs."""

    id: str
    keys: dict[str, Any]
    prompt_tokens: int
    tasks: tuple[str, ...]
    data: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """For prompt and answer together."""
        return self.prompt_tokens + int(self.keys.get("max_gen_toks", 1))

    @property
    def wants_template(self) -> bool:
        return bool(self.keys.get("apply_chat_template", True))

    @property
    def twin_of(self) -> str:
        return str(self.keys.get("twin_of", ""))

    @property
    def is_unpinned(self) -> bool:
        return bool(self.keys.get("dataset")) and "revision" not in self.keys


def choose(names: Sequence[str]) -> list[Known]:
    """The benchmarks with these ids.

    Raises:
        Refused: BENCHMARK_UNKNOWN.
    """
    known = {key: each for key, each in _known().items() if not each.twin_of}
    for name in names:
        if name not in known:
            near_ones = near(name, known)
            raise refused("BENCHMARK_UNKNOWN", name=name, known=", ".join(known), near=near_ones)
    return [known[name] for name in dict.fromkeys(names)]


def twin_of(chosen: Sequence[Known]) -> Known:
    """The twin that can be made of the first of these benchmarks for which there is one.

    Raises:
        Refused: TWINS_NO_BENCHMARK.
    """
    twins = {each.twin_of: each for each in _known().values() if each.twin_of}
    for each in chosen:
        if each.id in twins:
            return twins[each.id]
    raise refused("TWINS_NO_BENCHMARK", known=", ".join(twins))


def tables(chosen: Sequence[Known], *, concurrency: int, template: bool) -> list[dict[str, Any]]:
    """``[[benchmarks]]`` of equal weight, rounded to hundredths that sum to 1."""
    share = round(1 / len(chosen), 2)
    first = round(1 - share * (len(chosen) - 1), 2)
    found = []
    for number, each in enumerate(chosen):
        keys = {"id": each.id, **each.keys, "weight": share if number else first}
        keys.setdefault("apply_chat_template", True)
        keys["apply_chat_template"] &= template
        found.append({**keys, "concurrency": concurrency})
    return found


def copy_files(chosen: Sequence[Known], folder: Path) -> str:
    """Copy their tasks and data into the contest's folder; returns the folder of tasks, or empty."""
    for each in chosen:
        for name in each.tasks:
            source = CONTESTS / name if "/" in name else TASKS / name
            _copy(source, folder / "tasks" / source.name)
        for name in each.data:
            _copy(CONTESTS / name, folder / "data" / Path(name).name)
    return "tasks" if any(each.tasks for each in chosen) else ""


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(source, target)


@cache
def _known() -> dict[str, Known]:
    entries = tomllib.loads(LIST.read_text("utf-8"))
    return {
        key: Known(
            id=key,
            keys={name: value for name, value in entry.items() if name not in _OURS},
            prompt_tokens=entry["prompt_tokens"],
            tasks=tuple(entry.get("tasks", ())),
            data=tuple(entry.get("data", ())),
        )
        for key, entry in entries.items()
    }
