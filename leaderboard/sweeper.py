"""Nothing is ever stuck: lost leases go back to the queue and bells are rung again.

Run by beat, by every worker's claim, and by ``manage.py sweep``; any number of sweepers may run at once.
"""

from __future__ import annotations

from django.db.models.functions import Now

from grader.problems import Problem
from leaderboard import bell, lifecycle, notifications
from leaderboard.models import Evaluation

MAX_CHECKS = 5


def sweep() -> None:
    """One round."""
    lifecycle.return_lost_work()
    due = Evaluation.objects.filter(status=Evaluation.Status.QUEUED, not_before__lte=Now())
    for pk, tries in due.filter(is_checked=False).values_list("pk", "check_attempts"):
        if tries >= MAX_CHECKS:
            lifecycle.give_up_check(pk, Problem("SYS_CHECK_CRASHED", detail=str(tries)))
        else:
            bell.ring_check(pk)
    if due.filter(is_checked=True).exists():
        bell.ring_workers()
    if notifications.are_due():
        bell.ring_outbox()
