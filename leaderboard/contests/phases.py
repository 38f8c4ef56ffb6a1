"""What the clock and the organizers allow now: entering, the public's view, the private board, the final.

Dates come from the contest file, manual decisions from the contest's row; the later of the two holds. Only the
server's clock counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from grader.contest import Phase
from leaderboard.core.errors import Refused
from leaderboard.models import Contest


def accepts(contest: Contest, begun_at: datetime | None = None) -> Phase | None:
    """The phase that takes an entry now; None when the contest is closed.

    Args:
        begun_at: when its upload began, by the server's clock. If that was within a phase, the entry is
            accepted until ``limits.upload_grace_s`` after the end of that phase.
    """
    if not contest.is_open or contest.finalised_at is not None:
        return None
    rules, now = contest.rules, timezone.now()
    if phase := rules.phase_at(now):
        return phase
    began_in = rules.phase_at(begun_at) if begun_at else None
    grace = timedelta(seconds=rules.limits.upload_grace_s)
    return began_in if began_in and now < began_in.end + grace else None


def frozen_since(contest: Contest) -> datetime | None:
    """When the public board froze; None while it is live.

    The public then sees entries submitted before that moment, no matter when they were graded.
    """
    now = timezone.now()
    by_file = [p.freeze for p in contest.rules.phases if p.freeze and p.freeze <= now]
    since = max((*by_file, *filter(None, [contest.frozen_at])), default=None)
    if since and contest.thawed_at and contest.thawed_at >= since:
        return None
    return since


def is_revealed(contest: Contest) -> bool:
    """Whether everybody may see the private board."""
    return contest.revealed_at is not None


def may_choose(contest: Contest) -> bool:
    """Whether teams can (still) choose their entries for the final."""
    if contest.finalised_at is not None:
        return False
    now = timezone.now()
    return any(p.select_until and p.start <= now < p.select_until for p in contest.rules.phases)


def choosing_until(contest: Contest) -> datetime | None:
    """The next deadline for choosing finals, or the last one that passed; None if teams never choose."""
    ends = sorted(p.select_until for p in contest.rules.phases if p.select_until)
    return next((end for end in ends if end > timezone.now()), ends[-1] if ends else None)


def refuse_final(contest: Contest, code: str = "CONTEST_FINAL") -> None:
    """Raise ``Refused`` if the contest is final, rereading that from the database."""
    if Contest.objects.filter(pk=contest.pk, finalised_at__isnull=False).exists():
        raise Refused(code)
