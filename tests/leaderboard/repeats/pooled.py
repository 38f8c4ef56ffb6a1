"""A contest where repeats are pooled and first places confirmed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from grader import contest as rules
from grader.protocol.documents import CheckpointFacts
from grader.schema import decode
from leaderboard import lifecycle, repeats
from leaderboard.models import Contest, ContestVersion, Evaluation, Team
from tests import factories

FORMULA = 'formula = "online"'


def contest(*, confirm: int = 0, counts: str = "best", slug: str = "demo") -> Contest:
    row = factories.contest(slug=slug)
    keys = f'\nrepeats = "pooled"\nconfirm = {confirm}\ncounts = "{counts}"'
    return in_force(row, row.version.source.replace("[scoring]\n", f"[scoring]{keys}\n", 1))


def in_force(row: Contest, source: str) -> Contest:
    parsed = rules.parse(source, Path(row.version.folder))
    row.version = ContestVersion.objects.create(
        contest=row,
        sha256=hashlib.sha256(source.encode()).hexdigest(),
        source=source,
        folder=row.version.folder,
        grading_sha256=parsed.grading_sha256,
    )
    row.save(update_fields=["version"])
    return row


def entered(
    contest: Contest, team: Team, speedup: float, *, checkpoint: int, seed: int
) -> Evaluation:
    """One more entry of a checkpoint, measured as ``speedup`` says, and everything that follows from it."""
    measured = factories.report(
        contest=contest, checkpoint=factories.facts(seed=checkpoint), speedup=speedup, seed=seed
    )
    found = factories.scored(contest=contest, team=team, measured=measured)
    repeats.settle(contest)
    found.refresh_from_db()
    return found


def confirmed(contest: Contest, speedup: float) -> int:
    """Workers make the measurements that confirm places; returns how many."""
    done = 0
    while waiting := Evaluation.objects.filter(to_confirm=True, status="queued").order_by("pk"):
        job = lifecycle.claim(factories.worker(), {contest.slug: contest.version.sha256})
        assert job is not None and job.evaluation == waiting[0].pk
        row = Evaluation.objects.get(pk=job.evaluation)
        checkpoint = decode(CheckpointFacts, row.facts)
        report = factories.report(contest=contest, checkpoint=checkpoint, speedup=speedup, seed=1)
        lifecycle.record(job.evaluation, job.attempt, report)
        repeats.settle(contest)
        done += 1
    return done
