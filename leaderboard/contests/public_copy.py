"""The copy of a contest's folder that participants get: all they need to check and measure, and no secret."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from grader import contest as rules
from grader.contest import salt, tasks
from leaderboard.contests.drafting import speed_prompts

FILE = "contest.toml"
_DATA = re.compile(r"\$\{CONTEST_DIR\}/([^\s\"',\]}]+)")
_PROSE = ("rules.md", "rules.ko.md")


def write(loaded: rules.Contest, out: Path) -> list[str]:
    """Write the copy and return what was left out, or replaced by another of its kind.

    Left out: the salt, data that only wholly private benchmarks read, and weights that the Hub has. Speed
    prompts are drawn anew.

    Raises:
        OSError: the folder exists, or something cannot be read or written.
        ContestError: the salt cannot be taken out.
    """
    source = salt.without(loaded.source)
    if rules.parse(source, loaded.folder).split_salt:
        raise rules.ContestError("split_salt must be on one line of its own")
    out.mkdir(parents=True)
    (out / FILE).write_text(source, "utf-8")
    found, secret = _parts(loaded)
    for path in sorted(found - secret):
        _copy(loaded.folder / path, out / path)
    for name in _PROSE:
        at = next(
            (folder / name for folder in _prose_folders(loaded) if (folder / name).is_file()), None
        )
        if at:
            _copy(at, out / name)
    if loaded.speed.prompts:
        (out / loaded.speed.prompts).parent.mkdir(parents=True, exist_ok=True)
        speed_prompts.write(out / loaded.speed.prompts)
    return sorted(str(path) for path in secret)


def _parts(loaded: rules.Contest) -> tuple[set[Path], set[Path]]:
    """All files of the folder that the contest reads, relative to it, and those of them that stay here."""
    folder, private = loaded.folder, _private_tasks(loaded)
    secret = {Path(loaded.speed.prompts)} if loaded.speed.prompts else set()
    found = _files(folder, Path(loaded.base_model.folder))
    if loaded.base_model.revision:
        secret |= {path for path in found if path.suffix == ".safetensors"}
    open_data: set[Path] = set()
    private_data: set[Path] = set()
    for path in _files(folder, Path(loaded.tasks)) if loaded.tasks else ():
        found.add(path)
        if path.suffix not in (".yaml", ".yml"):
            continue
        text = (folder / path).read_text("utf-8")
        is_private = not private.isdisjoint(tasks.names(text))
        data = {Path(one) for one in _DATA.findall(text)}
        (private_data if is_private else open_data).update({*data, path} if is_private else data)
    secret |= private_data - open_data
    return (found | open_data | private_data | secret), secret


def _private_tasks(loaded: rules.Contest) -> set[str]:
    shown = {benchmark.task for benchmark in loaded.benchmarks if benchmark.public_share > 0}
    return {benchmark.task for benchmark in loaded.benchmarks} - shown


def _files(folder: Path, below: Path) -> set[Path]:
    return {path.relative_to(folder) for path in (folder / below).rglob("*") if path.is_file()}


def _prose_folders(loaded: rules.Contest) -> Iterable[Path]:
    return loaded.folder / loaded.id, loaded.folder


def _copy(source: Path, target: Path) -> None:
    if source.is_file():  # what the Hub or the organizers have still to bring is not there
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
