"""Which entries of a team are the same checkpoint."""

from __future__ import annotations

from django.db.models import QuerySet

from leaderboard import lifecycle
from leaderboard.models import Contest, Evaluation, Pool, Submission


def newcomers(contest: Contest) -> QuerySet[Evaluation]:
    """Scored entries of teams that belong to no checkpoint yet, and new measurements of those that do."""
    found = Evaluation.objects.current().scored().of_contest(contest)
    return found.filter(pool=None, submission__kind=Submission.Kind.TEAM).order_by("pk")


def adopt(contest: Contest) -> int:
    """Assign every newcomer to the checkpoint that it is; returns how many."""
    found = list(newcomers(contest).select_related("submission"))
    for evaluation in found:
        lifecycle.join_pool(evaluation, _known(evaluation) or _new(evaluation))
    return len(found)


def _known(evaluation: Evaluation) -> Pool | None:
    """The entry's own, if it was measured before; otherwise that of an entry of the team with equal content."""
    before = Evaluation.objects.filter(submission=evaluation.submission_id, pool__isnull=False)
    if own := before.select_related("pool").order_by("pk").first():
        return own.pool
    same = Pool.objects.filter(first__team=evaluation.submission.team_id)
    content = evaluation.facts.get("content_sha256", "")
    return same.filter(content_sha256=content).order_by("pk").first() if content else None


def _new(evaluation: Evaluation) -> Pool:
    content = evaluation.facts.get("content_sha256", "")
    return Pool.objects.create(first_id=evaluation.submission_id, content_sha256=content)
