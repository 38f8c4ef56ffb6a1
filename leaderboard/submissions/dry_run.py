"""Check only: preflight's verdict without an entry. No quota, but an hourly limit; the archive is deleted.

A complete upload (``uploads.check``) or a repository (``enter``) becomes a waiting check, the site worker runs
it (``run``), and it is deleted a week later.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from grader import checkpoint
from grader.problems.catalogue import Problem, is_ours
from grader.schema import encode
from leaderboard import lifecycle
from leaderboard.core import doorbell
from leaderboard.models import Check, Contest
from leaderboard.storage import staging
from leaderboard.submissions import admission, hub, lease, preflight, queries

log = logging.getLogger(__name__)
AGAIN_AFTER = timedelta(seconds=lifecycle.CHECK_LEASE_S)
MAX_TRIES = 5
KEPT = timedelta(days=7)


def enter(contest: Contest, text: str, revision: str, *, user: User) -> Check:
    """Check a repository on the Hub without downloading its weights.

    Raises:
        Refused: a gate of ``admission`` is closed; as ``hub.pin``.
    """
    team = queries.team_of(user, contest)
    admission.admit(admission.EntryRequest(contest=contest, user=user, team=team, only_check=True))
    source = hub.pin(contest.rules, text, revision)
    return waiting(
        user=user,
        contest=contest,
        name=f"{source.repo}@{source.commit[:12]}",
        size_bytes=sum(file.size_bytes for file in source.files),
        hub=encode(source),
    )


def waiting(**facts: object) -> Check:
    """Create a check; it is queued on commit."""
    with transaction.atomic():
        row = Check.objects.create(**facts)
        transaction.on_commit(lambda: doorbell.enqueue_dry_run(row.pk))
    return row


def run(key: str) -> None:
    """Run one check. Safe to repeat: while one works no second one starts, and the first findings stay.

    Raises:
        CheckError, HubAway: it is retried up to five times.
    """
    free = Q(tried=None) | Q(tried__lt=Now() - AGAIN_AFTER)
    begun = Check.objects.filter(free, pk=key, finished=None)
    if not begun.update(tries=F("tries") + 1, tried=Now()):
        return
    row = Check.objects.select_related("contest__version").get(pk=key)
    mine = Check.objects.filter(pk=key, finished=None, tries=row.tries)
    with lease.renewed(lambda: bool(mine.update(tried=Now()))):
        _run(row)


def _run(row: Check) -> None:
    rules = row.contest.rules
    if source := row.hub_source:
        findings = hub.inspect(source, rules)
    else:
        findings = preflight.inspect(staging.path_of(row.pk), rules)
    if ours := [problem for problem in findings.problems if is_ours(problem)]:
        raise preflight.CheckError("; ".join(f"{p.code} {p.detail}".strip() for p in ours))
    _finish(row.pk, findings)


def ring_waiting() -> None:
    """For the sweeper: ring lost bells again, and give up on checks that keep breaking."""
    late = Check.objects.filter(finished=None).filter(
        Q(tried=None, created__lt=Now() - timedelta(seconds=30)) | Q(tried__lt=Now() - AGAIN_AFTER)
    )
    for key, tries in late.values_list("key", "tries"):
        if tries < MAX_TRIES:
            doorbell.enqueue_dry_run(key)
        else:
            broken = Problem("SYS_CHECK_CRASHED", detail=str(tries))
            _finish(key, checkpoint.Findings((broken,)))


def forget_old() -> None:
    """For the sweeper: delete results after a week."""
    Check.objects.filter(created__lt=Now() - KEPT, finished__isnull=False).delete()


def _finish(key: str, findings: checkpoint.Findings) -> None:
    log.info("check %s: %s", key[:8], ", ".join(p.code for p in findings.problems) or "passed")
    Check.objects.filter(pk=key, finished=None).update(
        finished=Now(),
        problems=encode(list(findings.problems)),
        notices=encode(list(findings.notices)),
        facts=encode(findings.facts) if findings.facts else {},
    )
    staging.path_of(key).unlink(missing_ok=True)
    staging.digests.forget(key)
