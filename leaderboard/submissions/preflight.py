"""Preflight: the checks that need no GPU, run on the site's own queue so that a mistake costs seconds.

1. Unpack the archive into an empty folder with the strict extractor, or fetch the headers from the Hub. This
   and the next happen in a process whose time is limited.
2. Read headers and JSON strictly; compare with the contest's base model.
3. Pass or reject; the unpacked folder is deleted in every case.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from django.db import transaction

from grader import checkpoint, logs
from grader.contest import Contest
from grader.problems.catalogue import Problem, is_ours
from grader.protocol.documents import CheckpointFacts
from leaderboard import lifecycle
from leaderboard.models import Evaluation, Team
from leaderboard.storage import archives, scratch
from leaderboard.submissions import duplicates, hub, lease

log = logging.getLogger(__name__)


class CheckError(Exception):
    """The check could not be made, for a reason other than the archive; it is retried."""


def check(evaluation_id: int) -> None:
    """Check one queued evaluation. Safe to repeat: while one check works no second one starts.

    Raises:
        CheckError: a disk is full or broken, or the Hub is down; it is tried again until that is over.
    """
    evaluation = lifecycle.begin_check(evaluation_id)
    if evaluation is None:
        return
    with logs.bound(submission=evaluation.submission_id, evaluation=evaluation_id):
        attempt = evaluation.check_attempts
        with lease.renewed(lambda: lifecycle.renew_check(evaluation_id, attempt)):
            try:
                _check(evaluation)
            except CheckError:
                lifecycle.return_check(evaluation_id, attempt)
                raise


def _check(evaluation: Evaluation) -> None:
    try:
        findings = _findings(evaluation)
    except FileNotFoundError:
        raise  # an archive that is gone does not come back
    except (hub.HubAway, OSError) as error:
        raise CheckError(f"{type(error).__name__}: {error}") from error
    if ours := [problem for problem in findings.problems if is_ours(problem)]:
        raise CheckError("; ".join(f"{p.code} {p.where} {p.detail}".strip() for p in ours))
    if findings.problems or findings.facts is None:
        log.info("refused: %s", ", ".join(p.code for p in findings.problems))
        lifecycle.fail_check(evaluation.pk, list(findings.problems))
    else:
        _pass(evaluation, findings.facts, findings.notices)


def _pass(evaluation: Evaluation, facts: CheckpointFacts, notices: Iterable[Problem]) -> None:
    """Pass it to the workers, unless it is a duplicate that the team did not ask to enter again."""
    submission = evaluation.submission
    with transaction.atomic():
        if submission.team_id and not submission.again:
            # Of two identical entries, the second waits here and then finds the first.
            Team.objects.select_for_update(of=("self",)).get(pk=submission.team_id)
            if number := duplicates.of_content(evaluation, facts.content_sha256):
                log.info("the same as #%d", number)
                lifecycle.hold(evaluation.pk, facts, duplicates.problem_of(number))
                return
        log.info("passed: %s", facts.scheme)
        lifecycle.pass_check(evaluation.pk, facts, notices)


def _findings(evaluation: Evaluation) -> checkpoint.Findings:
    submission, rules = evaluation.submission, evaluation.version.rules
    if source := submission.hub_source:
        return hub.inspect(source, rules)
    with archives.on_disk(submission.archive) as archive:
        return inspect(archive, rules)


def inspect(archive: Path, contest: Contest) -> checkpoint.Findings:
    """Unpack and read an archive; nothing of it stays on disk."""
    with scratch.folder("check-") as folder:
        return checkpoint.check(archive, folder / "model", contest)
