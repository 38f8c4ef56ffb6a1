"""Trying a contest before its event, and knowing later whether it was tried under the rules it has.

The site has no engine: ``baseline trycontest`` measures, in a child process here or on a GPU box. What came out
is kept whole under ``PARETOBOARD_HOME/trials``; the audit log, which the database keeps from being changed,
says what was tried, under which rules, and what was found.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from grader import contest as rules
from grader.assets import copies
from grader.checkpoint.contest_faults import ContestFault, too_many_questions
from grader.protocol.trial import Trial
from grader.schema import SchemaError, decode
from leaderboard.core import audit, env
from leaderboard.models import AuditEntry, Contest, ContestVersion
from leaderboard.operations import references
from leaderboard.operations.references import PublishError, Say

ACTION = "contest.try"
ENDING_S = 60.0  # for an interrupted child to end its engines


def find(name_or_path: str) -> Path:
    """The contest's file, absolute: a child reads it in another folder.

    Raises:
        grader.contest.ContestError: there is none.
    """
    path = Path(name_or_path).absolute()
    if (path / "contest.toml").is_file():
        return path / "contest.toml"
    return path if path.is_file() else rules.find(name_or_path, *settings.CONTEST_ROOTS)


def reference(loaded: rules.Contest, say: Say) -> tuple[Path, str] | None:
    """The first reference of the contest that its hardware can run, compressed now unless it was before.

    Raises:
        PublishError: there are references, and none could be made.
    """
    version = ContestVersion(sha256=loaded.sha256, source=loaded.source, folder=str(loaded.folder))
    contest = Contest(slug=loaded.id, version=version)  # of a file that may not be loaded yet
    base = _weights(loaded)
    refused: PublishError | None = None
    for entry in references.entries(contest):
        if not entry.recipe:
            continue
        try:
            folder = references.checkpoint(contest, entry, base, say)
        except PublishError as error:
            if error.code not in references.NOT_HERE:
                raise
            refused = error
            continue
        return folder, entry.recipe
    if refused is not None:
        raise refused
    return None


def _weights(loaded: rules.Contest) -> Path:
    """The base model with its weights: the contest's own folder, or what ``prefetch`` has brought."""
    cache = Path(env.text("GRADER_CACHE") or copies.DEFAULT_CACHE).expanduser()
    models = Path(env.text("GRADER_BASE_MODELS") or cache / "base_models").expanduser()
    for folder in (loaded.base_folder, copies.base_model(loaded, models).folder):
        if any(folder.glob("*.safetensors")):
            return folder
    raise PublishError(
        f"no weights of {loaded.base_model.id} in {loaded.base_folder}: run manage.py prefetch {loaded.id}, "
        "or name a checkpoint with --reference"
    )


@dataclass(frozen=True, slots=True)
class PromptCheck:
    """A contest's prompts, counted without an engine.

    Attributes:
        faults: those that do not fit; ``doubts``: codes and sentences of what else is odd about them.
        unknown: benchmark (empty: all of them) and why nobody could look.
    """

    faults: list[ContestFault]
    doubts: list[str]
    unknown: dict[str, str]


def check_prompts(path: Path, loaded: rules.Contest) -> PromptCheck:
    """As far as this machine can: with lm-eval, the base model's tokenizer and the data sets on it."""
    code, printed = run(str(path), "--prompts", "--lang", "en", as_json=True)
    document = json.loads(printed)
    if code:
        error = document["error"]
        return PromptCheck([], [], {"": f"{error['code']}: {error['message']}"})
    places = {benchmark.id: i for i, benchmark in enumerate(loaded.benchmarks)}
    faults = [
        ContestFault(
            "PROMPTS_CUT",
            # lm-eval keeps room for the answer; a choice is part of the prompt
            f"benchmarks[{places[one['benchmark']]}]."
            + ("max_gen_toks" if one["answer_limit_tokens"] else "task"),
            {
                "cut": one["cut"],
                "prompts": one["requests"],
                "longest": one["longest_tokens"],
                "room": one["budget_tokens"],
            },
        )
        for one in document["prompts"]
        if one["cut"]
    ]
    faults += too_many_questions(sum(one["questions"] for one in document["prompts"]))
    doubts = [
        f"{one['where']}: {one['code']}: {one['sentence']} {one['hint']}"
        for one in document["findings"]
        if one["code"] != "TRY_PROMPTS_CUT"
    ]
    return PromptCheck(faults, doubts, document["unknown"])


def run(*arguments: str, as_json: bool) -> tuple[int, str]:
    """``baseline trycontest`` in a child: its exit code, and with ``as_json`` what it printed.

    Progress and tables go where ours go. After Ctrl-C, which reaches both, the child ends its engines first;
    any other end of ours is passed on to it.
    """
    command = [sys.executable, "-m", "baseline", "trycontest", *arguments]
    if as_json:
        command.append("--json")
    stdout = subprocess.PIPE if as_json else None
    with subprocess.Popen(command, cwd=settings.ROOT, stdout=stdout, text=True) as child:
        try:
            printed, _ = child.communicate()
        except BaseException as error:
            if not isinstance(error, KeyboardInterrupt):
                child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                child.wait(ENDING_S)
            child.kill()
            raise
    return child.returncode, printed or ""


def place(loaded: rules.Contest) -> Path:
    """Where a new trial is to be written."""
    folder = Path(settings.HOME) / "trials" / loaded.id
    folder.mkdir(parents=True, exist_ok=True)
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return folder / f"{moment}-{loaded.grading_sha256[:12]}-{os.getpid()}.json"


def read(file: Path) -> Trial:
    """A trial's file.

    Raises:
        PublishError: it is none.
    """
    try:
        return decode(Trial, json.loads(file.read_text("utf-8")))
    except (OSError, ValueError, SchemaError) as error:
        raise PublishError(f"{file} is not a trial: {error}") from error


def record(loaded: rules.Contest, trial: Trial, document: dict[str, Any], by: str) -> AuditEntry:
    """Keep what a whole trial found."""
    after = {
        "grading_sha256": trial.grading_sha256,
        "contest_sha256": trial.contest_sha256,
        "device": document["device"],
        "reference": document["reference_name"],
        "findings": [f"{one['code']} {one['where']}".strip() for one in document["findings"]],
        "resolutions": document["resolutions"],
        "cost": document["cost"],
    }
    return audit.record(by, ACTION, Contest(slug=loaded.id), contest=loaded.id, after=after)


def last(contest: str, grading_sha256: str) -> AuditEntry | None:
    """The last trial of the contest under rules that measure like these."""
    tried = AuditEntry.objects.filter(action=ACTION, contest=contest)
    return tried.filter(after__grading_sha256=grading_sha256).order_by("-pk").first()
