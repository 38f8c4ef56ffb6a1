"""Writes a draft to a temporary folder, validates it as ``loadcontest`` does, and moves it into place."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader import contest as rules
from grader.checkpoint import find_problems
from grader.checkpoint.contest_faults import find_contest_faults
from grader.contest import Contest, Hardware
from grader.contest.rules import CONTEST_ID
from grader.swap import swap
from leaderboard.contests import faults
from leaderboard.contests.drafting import (
    base,
    benchmarks,
    gpus,
    references,
    rules_pages,
    speed_prompts,
    toml_text,
    twins_file,
    values,
)
from leaderboard.contests.drafting.base import Base
from leaderboard.contests.drafting.benchmarks import Known
from leaderboard.contests.drafting.gpus import Machine
from leaderboard.contests.drafting.notices import Notice
from leaderboard.contests.drafting.words import refused
from leaderboard.core.errors import Refused

FILE = "contest.toml"
LEAST_TWINS, MOST_TWINS = 60, 256  # fewer find less; more cost time in every grade
HEAD = """{title}: written by manage.py newcontest, ready for manage.py loadcontest.
A comment says what each key does; a key in a comment stands at its default. docs/contest.md is the guide.
Before the event: set the phases, keep split_salt and {prompts} to yourself,
and read rules.md and rules.ko.md."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """A request for a draft.

    Attributes:
        base: a folder, or ``owner/name[@revision]`` on the Hub.
        contest_id: empty: derived from the base model's name.
        benchmarks: ids; empty: those that suit the GPU and the model's length.
        folder: where to write; None: a folder named after the id, in the current folder.
        template: whether benchmarks may put prompts through the chat template.
        with_weights: for a base model in a folder: whether to copy its weights to the contest's folder.
        force: replace an existing contest.
        twins: questions of one of the benchmarks, of which a fresh twin is made; None: no twin.
    """

    base: str
    contest_id: str = ""
    gpu: str = "L4"
    benchmarks: tuple[str, ...] = ()
    folder: Path | None = None
    timezone: str = "Asia/Seoul"
    template: bool = True
    with_weights: bool = True
    force: bool = False
    twins: Path | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What was written."""

    folder: Path
    contest: Contest
    notices: tuple[Notice, ...]

    @property
    def file(self) -> Path:
        return self.folder / FILE


def draft(wishes: Wishes) -> Draft:
    """Write the folder.

    Raises:
        Refused: with a code of :mod:`words` or of a contest's faults; nothing was written.
    """
    machine = gpus.machine(wishes.gpu)
    asked = benchmarks.choose(wishes.benchmarks or _usual(machine.gpu))
    contest_id = wishes.contest_id or _id_of(wishes.base)
    if not re.fullmatch(CONTEST_ID, contest_id):
        raise refused("CONTEST_ID", name=contest_id)
    folder = (wishes.folder or Path(contest_id)).expanduser().absolute()
    _require_place(folder, force=wishes.force)
    try:
        with _beside(folder) as made:
            into = made / values.BASE_FOLDER
            model = base.read(wishes.base, into, contest_id, with_weights=wishes.with_weights)
            notices = _write(made, contest_id, model, machine, asked, wishes)
            contest = rules.load(made / FILE)
            notices += _of_contest(contest, folder)
            swap(made, folder)
    except OSError as error:
        words = error.strerror or str(error)
        raise refused("FOLDER_UNWRITABLE", folder=str(folder), error=words) from error
    return Draft(folder, rules.load(folder / FILE), tuple(notices))


def _write(
    made: Path,
    contest_id: str,
    model: Base,
    machine: Machine,
    asked: Sequence[Known],
    wishes: Wishes,
) -> list[Notice]:
    longest = values.longest_tokens(model, machine)
    chosen, notices = _fitting(asked, longest, wishes)
    if wishes.twins:
        chosen.append(_twin(chosen, wishes.twins, made))
    found: list[dict[str, Any]] = []
    if method := (model.config.get("quantization_config") or {}).get("quant_method"):
        notices.append(Notice("BASE_QUANTIZED", {"method": method}))
    elif model.decoder is not None:
        found, left_out = references.choose(model.decoder.linears, machine.gpu)
        notices += [
            Notice("REFERENCE_LEFT_OUT", {"recipe": recipe, "why": why})
            for recipe, why in left_out.items()
        ]
    if size_bytes := model.head_twice_bytes:
        notices.append(Notice("HEAD_TWICE", {"size_bytes": f"{size_bytes:,}"}))
    content = values.build(
        contest_id,
        model,
        machine,
        chosen,
        found,
        timezone=wishes.timezone,
        template=wishes.template,
        tasks=benchmarks.copy_files(chosen, made),
    )
    speed_prompts.write(made / values.PROMPTS)
    contest = _render(made, content)
    _judge(contest, wishes.base)
    if gpus.choose_pairing(contest, model.config, machine) == "turns":
        content["speed"]["pairing"] = "turns"
        notices.append(Notice("IN_TURNS", {"gpu": machine.name}))
        contest = _render(made, content)
    rules_pages.write(made, contest)
    return notices


def _twin(chosen: Sequence[Known], questions: Path, made: Path) -> Known:
    """Make a fresh twin of one of the benchmarks, and write its questions."""
    twin = benchmarks.twin_of(chosen)
    _, found = twins_file.make(questions)
    if len(found) < LEAST_TWINS:
        raise refused("TWINS_TOO_FEW", file=str(questions), count=len(found), least=LEAST_TWINS)
    examples = int(twin.keys.get("num_fewshot", 0))
    name = made / "data" / twin.keys["task"]
    if examples:
        twins_file.write(name.with_name(f"{name.name}_examples.jsonl"), found[:examples])
    twins_file.write(name.with_name(f"{name.name}.jsonl"), found[examples:][:MOST_TWINS])
    return twin


def _render(made: Path, content: dict[str, Any]) -> Contest:
    head = HEAD.format(title=content["title"].en, prompts=values.PROMPTS)
    (made / FILE).write_text(toml_text.render(content, head), "utf-8")
    return rules.load(made / FILE)


def _fitting(
    asked: Sequence[Known], longest: int, wishes: Wishes
) -> tuple[list[Known], list[Notice]]:
    """Benchmarks whose prompts and answers fit; one requested by name must fit."""
    chosen, notices = [], []
    for each in asked:
        facts = {"benchmark": each.id, "tokens": each.tokens, "longest": longest}
        if each.tokens <= longest:
            chosen.append(each)
        elif wishes.benchmarks or (each is asked[-1] and not chosen):
            raise refused("BENCHMARK_TOO_LONG", **facts)
        else:
            notices.append(Notice("BENCHMARK_LEFT_OUT", facts))
    return chosen, notices


def _judge(contest: Contest, text: str) -> None:
    """Validates like ``loadcontest`` and ``baseline check``, so that they accept every draft."""
    for fault in find_contest_faults(contest):
        if fault.code == "NO_CHAT_TEMPLATE":
            raise refused(fault.code, benchmark=fault.values["benchmark"], base=text)
        words = faults.WORDS[fault.code]
        raise Refused(fault.code, words=words, **fault.values)  # type: ignore[arg-type]
    if any(contest.base_folder.glob("*.safetensors")):
        problems = find_problems(contest.base_folder, contest).problems
        if problems:
            said = ", ".join(f"{each.code} {each.where}" for each in problems[:5])
            raise refused("BASE_FAILS_CHECK", problems=said)


def _of_contest(contest: Contest, folder: Path) -> list[Notice]:
    found = [
        Notice("DATASET_NOT_PINNED", {"dataset": repo, "file": str(folder / FILE)})
        for repo in contest.unpinned
        if repo != contest.base_model.id
    ]
    if not contest.base_model.revision and not any(contest.base_folder.glob("*.safetensors")):
        name = contest.base_model.id.replace("/", "--")
        found.append(Notice("WEIGHTS_ELSEWHERE", {"name": name}))
    return found


def _usual(hardware: Hardware) -> tuple[str, ...]:
    return benchmarks.ON_GPU if hardware.compute_capability else benchmarks.ON_CPU


def _id_of(text: str) -> str:
    """``Qwen/Qwen3-0.6B@main`` → ``qwen3-0.6b``; a folder's name likewise."""
    folder = Path(text).expanduser()
    name = folder.resolve().name if folder.is_dir() else text.partition("@")[0].rpartition("/")[2]
    return re.sub(r"[^a-z0-9_.\-]+", "-", name.lower()).strip("-._")[:50]


def _require_place(folder: Path, *, force: bool) -> None:
    if not folder.exists() and not folder.is_symlink():
        return
    if not force:
        raise refused("FOLDER_EXISTS", folder=str(folder))
    if not (folder / FILE).is_file() or folder.is_symlink():
        raise refused("FOLDER_NOT_A_CONTEST", folder=str(folder))


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """An empty folder on the same disk, deleted afterward unless it was moved into place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        made.chmod(0o755)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
