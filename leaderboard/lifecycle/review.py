"""What staff look at before it counts without a mark: a first place, and every entry with a flag.

A scored entry is under review until staff have looked at it, or the contest's hours have passed. The board
marks it only if it is first or has a flag; which checks were flagged is written down when it is scored.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models.functions import Now

from grader.protocol.documents import Report
from grader.schema import decode, encode
from grader.scoring import compliance
from leaderboard import notifications
from leaderboard.core.clock import soon
from leaderboard.lifecycle.board import board_moves
from leaderboard.lifecycle.reports import whole_report
from leaderboard.models import Attempt, Contest, ContestVersion, Evaluation, Result, Submission

USUAL_GRADES = 50  # the latest ones of a worker, at most


def begin(evaluation: Evaluation, report: Report, version: ContestVersion) -> None:
    """Put a scored entry of a team under review; call it in the transaction that scores it."""
    hours = version.rules.scoring.hold_hours
    submission = evaluation.submission
    own = compliance.base_slowdown(report, _usual_base_times(evaluation, version), version.rules)
    checks = [*compliance.checks(report, version.rules), *own]
    if again := graded_again(evaluation, report):
        checks += compliance.repeatability(report, again, version.rules)
    flags = sorted({check.code for check in checks if check.flagged})
    is_held = bool(hours) and submission.kind == Submission.Kind.TEAM
    Evaluation.objects.filter(pk=evaluation.pk).update(
        flags=flags,
        site_checks=encode(own),
        review_until=soon(hours * 3600) if is_held else None,
    )
    if is_held and evaluation.is_current and (flags or _is_first(evaluation)):
        notifications.review_wanted(evaluation.pk, flags)


def looked_at(evaluation: Evaluation) -> bool:
    """Staff found nothing wrong; False if it was not under review. The caller writes the audit log."""
    with transaction.atomic():
        board_moves(evaluation.submission.contest_id)
        row = Evaluation.objects.filter(pk=evaluation.pk, review_until__isnull=False)
        return bool(row.update(review_until=None))


def end_reviews() -> int:
    """For the sweeper: nobody looked within the contest's hours, so the marks go."""
    over = Evaluation.objects.filter(review_until__lte=Now())
    count = 0
    for slug in sorted(set(over.values_list("submission__contest", flat=True))):
        with transaction.atomic():
            board_moves(slug)
            count += over.filter(submission__contest=slug).update(review_until=None)
    return count


def end_all_reviews(contest: Contest) -> None:
    """The result is final: call it in that transaction."""
    under_review = Evaluation.objects.of_contest(contest).filter(review_until__isnull=False)
    under_review.update(review_until=None)


def graded_again(evaluation: Evaluation, report: Report) -> Report | None:
    """The latest other grade of the same checkpoint in this contest, no matter who entered it."""
    others = Result.objects.filter(
        evaluation__version__contest=evaluation.version.contest_id,
        evaluation__facts__content_sha256=report.checkpoint.content_sha256,
    ).exclude(evaluation=evaluation)
    found = others.order_by("-pk").first()
    return decode(Report, whole_report(found)) if found else None


def _usual_base_times(evaluation: Evaluation, version: ContestVersion) -> dict[str, list[float]]:
    """By load shape: what the base model took on this worker lately, in grades of other teams.

    A team's own grades are left out, or a team that slows the base model down each time would make it usual.
    """
    if evaluation.worker_id is None:
        return {}
    since = timedelta(days=version.rules.aa.usual_days)
    earlier = Attempt.objects.filter(
        worker=evaluation.worker_id,
        outcome="scored",
        ended__gt=Now() - since,
        evaluation__version__contest=version.contest_id,
        evaluation__version__grading_sha256=version.grading_sha256,
    ).exclude(evaluation=evaluation)
    if team := evaluation.submission.team_id:
        earlier = earlier.exclude(evaluation__submission__team=team)
    usual: dict[str, list[float]] = {}
    for times in earlier.order_by("-ended").values_list("base_times", flat=True)[:USUAL_GRADES]:
        for shape, base_s in times.items():
            usual.setdefault(shape, []).append(base_s)
    return usual


def _is_first(evaluation: Evaluation) -> bool:
    """Whether no entry of a team has a better public score."""
    row = Evaluation.objects.select_related("score").get(pk=evaluation.pk)
    assert row.score is not None, "for the caller to know"
    others = Evaluation.objects.current().scored().of_contest(evaluation.submission.contest)
    others = others.filter(submission__kind=Submission.Kind.TEAM)
    return not others.filter(score__value__gt=row.score.value).exists()
