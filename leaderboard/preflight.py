"""Preflight: the checks that need no GPU, on the site's own queue, so that a mistake costs seconds.

1. Unpack the archive into a fresh folder with the strict extractor.
2. Read headers and JSON strictly; compare with the contest's base model.
3. Pass or reject; the unpacked folder is gone in every case.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path

from django.conf import settings

from grader import checkpoint
from grader.contest import Contest
from leaderboard import archives, lifecycle

log = logging.getLogger(__name__)


def check(evaluation_id: int) -> None:
    """Check one queued evaluation. Harmless to repeat: only the first verdict counts."""
    evaluation = lifecycle.begin_check(evaluation_id)
    if evaluation is None:
        return
    with archives.on_disk(evaluation.submission.archive) as archive:
        findings = inspect(archive, evaluation.version.rules)
    if findings.problems or findings.facts is None:
        lifecycle.fail_check(evaluation_id, list(findings.problems))
    else:
        lifecycle.pass_check(evaluation_id, findings.facts, findings.notices)


def inspect(archive: Path, contest: Contest) -> checkpoint.Findings:
    """Unpack and read an archive; nothing of it stays on disk."""
    scratch = settings.HOME / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="check-", dir=scratch))
    try:
        problems = checkpoint.unpack(archive, folder / "model", contest.limits)
        if problems:
            return checkpoint.Findings(problems=tuple(problems), notices=(), facts=None)
        return checkpoint.find_problems(folder / "model", contest, scan=True)
    finally:
        shutil.rmtree(folder)
