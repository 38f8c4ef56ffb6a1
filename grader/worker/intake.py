"""Turns an upload into something an engine may load: unpacked, checked, and rebuilt from checked parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from grader import checkpoint
from grader.assets import copies
from grader.contest import Contest
from grader.problems.catalogue import Problem, Stage, is_ours
from grader.protocol.documents import CheckpointFacts
from grader.worker.clock import Clock
from grader.worker.engine.server import Model
from grader.worker.faults import Failed, Rejected, failed
from grader.worker.settings import Settings


class Checked(NamedTuple):
    """The candidate as a canonical folder, its facts, and notices for the team."""

    model: Model
    facts: CheckpointFacts
    notices: tuple[Problem, ...]


def prepare(source: Path | Checked, folder: Path, contest: Contest, clock: Clock) -> Checked:
    """Return the candidate below ``folder``, unless it was checked ahead. Raises like :func:`check`."""
    clock.begin(Stage.FETCH)
    clock.begin(Stage.CHECK)
    return source if isinstance(source, Checked) else check(source, folder, contest, clock.check)


def check(source: Path, folder: Path, contest: Contest, keep_going: Callable[[], None]) -> Checked:
    """Unpack, examine and rebuild ``source``; ``keep_going`` is called all the while, and may raise.

    The engine never sees a file from ``source``. The canonical folder consists of the organizer's tokenizer
    and templates, a config written from an allowlist, and checked tensors.

    Raises:
        Rejected: the checker's problems.
        Failed: SYS_DISK_FULL, SYS_STORAGE, SYS_CHECK_TIMEOUT.
    """
    canonical = folder / "model"
    findings = checkpoint.check(
        source, folder / "unpacked", contest, canonical=canonical, keep_going=keep_going
    )
    if any(map(is_ours, findings.problems)):
        raise Failed(findings.problems)
    if findings.problems or findings.facts is None:
        raise Rejected(findings.problems)
    facts = findings.facts
    model = Model("candidate", canonical, facts.safetensors_bytes)
    return Checked(model, facts, findings.notices)


def require_unchanged(model: Model, facts: CheckpointFacts, contest: Contest) -> None:
    """Verify that the canonical folder is still what was checked, by reading it again right before it is
    loaded.

    Raises:
        Failed: SYS_STORAGE; the disk corrupted data, or something on this machine wrote into the folder.
    """
    findings = checkpoint.find_problems(model.folder, contest, scan=True)
    if findings.facts is None or findings.facts.content_sha256 != facts.content_sha256:
        found = ", ".join(p.code for p in findings.problems) or "different content"
        raise failed("SYS_STORAGE", "", f"the checked folder has changed: {found}")


def base_model(contest: Contest, settings: Settings) -> Model:
    """Find the base model's weights: the operator's folder first, then the contest's own.

    Raises:
        Failed: SYS_BASE_MODEL, neither folder has weights.
    """
    operators = settings.base_models or settings.cache / "base_models"
    for folder in (copies.base_model(contest, operators).folder, contest.base_folder):
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        if size:
            return Model("base", folder.resolve(), contest.base_model.safetensors_bytes or size)
    detail = f"no weights for {contest.base_model.id}; run prefetch {contest.id} on this worker"
    raise failed("SYS_BASE_MODEL", "", detail)
