"""Whether this team has entered exactly this before. Reveals nothing about other teams' entries.

The archive's digest or the commit on the Hub show it right away; the canonical content shows it for any
archive, once preflight has read it (``lifecycle.hold``).
"""

from __future__ import annotations

from django.db.models import Q, QuerySet

from grader.problems.catalogue import Problem
from leaderboard.models import Contest, ContestVersion, Evaluation, Submission, Team

Status = Evaluation.Status
CODE = "UPLOAD_SAME"


def of_archive(team: Team, contest: Contest, sha256: str) -> int | None:
    """Number of the team's latest entry with the same bytes that has a result or is waiting for one."""
    same = Q(submission__archive_sha256=sha256)
    return _latest(_alive(team, contest.version).filter(same)) if sha256 else None


def of_commit(team: Team, contest: Contest, repo: str, commit: str) -> int | None:
    same = Q(submission__hub__repo=repo, submission__hub__commit=commit)
    return _latest(_alive(team, contest.version).filter(same))


def of_content(evaluation: Evaluation, content_sha256: str) -> int | None:
    """The same for an entry in preflight: equal weights and config, in any archive."""
    team = evaluation.submission.team
    if team is None or not content_sha256:
        return None
    others = _alive(team, evaluation.version).exclude(submission=evaluation.submission_id)
    return _latest(others.filter(facts__content_sha256=content_sha256))


def problem_of(number: int) -> Problem:
    """The problem for a duplicate entry, with the earlier entry's number."""
    return Problem(CODE, detail=f"#{number}")


def named_in(row: Evaluation) -> Submission | None:
    """The entry that a held one duplicates."""
    detail = next((p["detail"] for p in row.problems if p["code"] == CODE), "")
    return Submission.objects.filter(pk=detail.removeprefix("#")).first() if detail else None


def _alive(team: Team, version: ContestVersion | None) -> QuerySet[Evaluation]:
    """Current evaluations of the team's entries, measured as this version measures."""
    assert version is not None
    alike = Q(version=version)
    if version.grading_sha256:
        alike |= Q(
            version__contest=version.contest_id, version__grading_sha256=version.grading_sha256
        )
    entered = Evaluation.objects.current().unfinished_or_scored()
    return entered.filter(alike, submission__team=team)


def _latest(found: QuerySet[Evaluation]) -> int | None:
    return found.order_by("-submission").values_list("submission", flat=True).first()
