"""The organizers' own entries: the base model, and the contest's references, compressed by ``baseline``.

llmcompressor cannot share an environment with vLLM, so ``baseline`` runs as a child process in the environment
of ``COMPRESS_PYTHON``. Checkpoints are kept under ``PARETOBOARD_HOME/references`` and made only once.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.files import File

from leaderboard import uploads
from leaderboard.core import audit
from leaderboard.models import Contest, Evaluation, Submission
from leaderboard.storage import scratch

Say = Callable[[str], None]
NOT_HERE = frozenset({"SCHEME_NOT_ON_GPU"})  # the contest's hardware has no kernel for the recipe
TAIL_CHARS = 2000


class PublishError(Exception):
    """A step failed; the message names it and quotes ``baseline``."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry by the organizers; ``recipe`` is empty for the unchanged base model."""

    title: str
    kind: str
    recipe: str = ""
    options: tuple[tuple[str, str], ...] = ()


def entries(contest: Contest) -> list[Entry]:
    """The base model, then every reference in the contest file."""
    rules = contest.rules
    references = [
        Entry(r.title.en, Submission.Kind.REFERENCE, r.recipe, tuple(sorted(r.options.items())))
        for r in rules.references
    ]
    return [Entry(rules.base_model.id, Submission.Kind.BASE), *references]


def compress_python() -> Path:
    """The interpreter of the environment that has llmcompressor."""
    return Path(os.environ.get("COMPRESS_PYTHON", settings.ROOT / ".venv-compress/bin/python"))


def publish(contest: Contest, by: User, say: Say, model: Path | None = None) -> int:
    """Enter what is missing; returns how many entries were made. Running it again enters nothing twice.

    An entry counts as present if it is graded, or waiting to be, under the rules in force.

    Args:
        model: folder with the base model's weights; the contest's own folder if not given.

    Raises:
        PublishError: the base model's weights are missing, or a recipe failed. Entries already made stay.
        Refused: the site does not accept it (too large, disk nearly full).
    """
    base = model or contest.rules.base_folder
    if not list(base.glob("*.safetensors")):
        raise PublishError(
            f"no weights of {contest.rules.base_model.id} in {base}; "
            "name their folder with --model (manage.py prefetch brings them)"
        )
    _ensure_compressor(contest, base)
    entered = 0
    for entry in entries(contest):
        if is_there(contest, entry):
            say(f"{entry.title}: already entered")
            continue
        try:
            folder = checkpoint(contest, entry, base, say)
        except PublishError as error:
            if error.code not in NOT_HERE:
                raise
            say(f"{entry.title}: skipped, {error}")
            continue
        submission = _enter(contest, entry, folder, by)
        say(f"{entry.title}: entered as #{submission.pk}")
        entered += 1
    return entered


def is_there(contest: Contest, entry: Entry) -> bool:
    """Entered under the rules in force, and not rejected, failed or cancelled since."""
    found = Evaluation.objects.unfinished_or_scored().of_contest(contest)
    return found.filter(
        submission__kind=entry.kind,
        submission__title=entry.title[:80],
        version=contest.version,
    ).exists()


def checkpoint(contest: Contest, entry: Entry, base: Path, say: Say) -> Path:
    """The folder to enter, compressed now unless an earlier run did it.

    Raises:
        PublishError: with the code and message of ``baseline``.
    """
    if not entry.recipe:
        return base
    folder = _compressed(contest, entry, base)
    if folder.exists():
        return folder
    require_compressor()
    say(f"{entry.title}: baseline compress --recipe {entry.recipe}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    arguments = ["compress", "--recipe", entry.recipe, "--model", str(base)]
    arguments += ["--output", str(folder), "--contest", str(_file(contest))]
    for key, value in entry.options:
        arguments += ["--set", f"{key}={value}"]
    baseline(compress_python(), *arguments, "--json")
    return folder


def _compressed(contest: Contest, entry: Entry, base: Path) -> Path:
    """The folder for a compressed reference; different for other rules, weights or options."""
    facts = json.dumps([contest.rules.sha256, str(base.resolve()), entry.options])
    digest = hashlib.sha256(facts.encode()).hexdigest()[:8]
    folder: Path = settings.HOME / "references" / contest.slug / f"{entry.recipe}-{digest}"
    return folder


def _ensure_compressor(contest: Contest, base: Path) -> None:
    """Make sure, before anything is entered, that the missing references can be compressed.

    Raises:
        PublishError: there is no interpreter, or it has no llmcompressor.
    """
    ahead = [e for e in entries(contest) if e.recipe and not is_there(contest, e)]
    if all(_compressed(contest, entry, base).exists() for entry in ahead):
        return
    require_compressor()


def require_compressor() -> None:
    """Make sure that ``baseline compress`` can run.

    Raises:
        PublishError: there is no interpreter, or it has no llmcompressor.
    """
    python = compress_python()
    hint = (
        "set COMPRESS_PYTHON to that of the environment with llmcompressor (requirements/install.py "
        "baseline=FOLDER makes one); in containers, use the service compress"
    )
    if not python.exists():
        raise PublishError(f"no interpreter at {python}; {hint}")
    probe = [
        str(python),
        "-c",
        "import importlib.util as i, sys; sys.exit(not i.find_spec('llmcompressor'))",
    ]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        raise PublishError(f"{python} has no llmcompressor; {hint}")


def baseline(python: Path, *arguments: str, env: dict[str, str] | None = None) -> str:
    """Run the participant's CLI; returns what it printed.

    Raises:
        PublishError: it failed.
    """
    command = [str(python), "-m", "baseline", *arguments]
    done = subprocess.run(
        command,
        cwd=settings.ROOT,
        env={**os.environ, **(env or {})},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise _failure(f"baseline {arguments[0]}", done.stdout, done.stderr)
    return done.stdout


def _failure(what: str, stdout: str, stderr: str) -> PublishError:
    """The error from the last line of the CLI's ``--json`` output."""
    for line in reversed([*stdout.splitlines(), *stderr.splitlines()]):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict) and "code" in document:
            words = f"{document.get('message', '')} {document.get('hint', '')}".strip()
            return PublishError(f"{what}: {document['code']}: {words}", str(document["code"]))
    return PublishError(f"{what} failed:\n{(stderr or stdout)[-TAIL_CHARS:]}")


def _file(contest: Contest) -> Path:
    """The contest file on this machine.

    Raises:
        PublishError: it is missing, or has changed since it was loaded.
    """
    rules = contest.rules
    for file in sorted(rules.folder.glob("*.toml")):
        if hashlib.sha256(file.read_bytes()).hexdigest() == rules.sha256:
            return file
    raise PublishError(
        f"the file of {contest.slug} in {rules.folder} is not the one that is in force; run loadcontest first"
    )


def _enter(contest: Contest, entry: Entry, folder: Path, by: User) -> Submission:
    """Pack as a participant would, and enter on behalf of the organizers."""
    with scratch.folder("reference-") as here:
        archive = here / f"{entry.recipe or 'base'}.tar"
        baseline(Path(sys.executable), "package", str(folder), "--output", str(archive))
        with archive.open("rb") as file:
            submission = uploads.enter_whole(
                contest,
                by,
                File(file, archive.name),
                kind=entry.kind,
                title=entry.title,
                note=entry.recipe,
            )
    after = {"title": entry.title, "kind": entry.kind, "recipe": entry.recipe}
    audit.record(by, "baseline.publish", submission, contest=contest.slug, after=after)
    return submission
