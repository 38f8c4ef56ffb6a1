"""A checkpoint's measurements, and which of them count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count, Q, QuerySet

from grader.scoring import repeats
from leaderboard.contests import phases
from leaderboard.models import Batch, Contest, Evaluation, Pool

Status = Evaluation.Status


@dataclass(slots=True)
class Measurements:
    """Of one checkpoint, in order, under the rules in force.

    Attributes:
        own: of the team's entries; ``confirming``: those made to confirm a place.
        under_way, given_up: of the latter, how many have not ended yet, or ended without a score.
    """

    own: list[Evaluation] = field(default_factory=list)
    confirming: list[Evaluation] = field(default_factory=list)
    under_way: int = 0
    given_up: int = 0

    def counted(self, pool: Pool, most: int) -> list[Evaluation]:
        """Those whose pool is the score; none where only the one that won the place exists."""
        won = next((one for one in self.own if one.pk == pool.won_id), None)
        return repeats.counted(self.own, self.confirming, won, most)


def of_pools(contest: Contest, pools: Iterable[int]) -> dict[int, Measurements]:
    """Pool → its measurements.

    What the organizers measured again replaces what was measured before. While the board is frozen, what was
    entered since adds to nothing: it would move the board.
    """
    found: dict[int, Measurements] = defaultdict(Measurements)
    rows = _measured(contest).filter(pool__in=list(pools)).order_by("pk")
    if frozen := phases.frozen_since(contest):
        rows = rows.exclude(is_repeat=True, submission__created__gte=frozen)
    for run in rows:
        assert run.pool_id is not None, "of a pool"
        mine = found[run.pool_id]
        if run.to_confirm:
            mine.under_way += run.status in Evaluation.UNFINISHED
            mine.given_up += run.is_finished and run.status != Status.SCORED
            if run.status == Status.SCORED:
                mine.confirming.append(run)
        elif run.batch_id and run.is_in_force:  # type: ignore[attr-defined]
            found[run.pool_id] = Measurements(own=[run])
        elif not run.batch_id:
            mine.own.append(run)
    return found


def repeated(contest: Contest) -> list[Pool]:
    """Checkpoints with more than one measurement."""
    several = Evaluation.objects.filter(pool__first__contest=contest).values("pool")
    several = several.annotate(n=Count("pk")).filter(n__gt=1)
    return list(Pool.objects.filter(pk__in=several.values("pool")).order_by("pk"))


def _measured(contest: Contest) -> QuerySet[Evaluation]:
    version = contest.version
    assert version is not None
    alike = Q(version=version)
    if version.grading_sha256:
        alike |= Q(version__grading_sha256=version.grading_sha256)
    rows = Evaluation.objects.filter(alike).filter(Q(status=Status.SCORED) | Q(to_confirm=True))
    # a pool of others has neither an attempt nor a batch
    rows = rows.filter(Q(attempt__gt=0) | Q(batch__isnull=False) | Q(to_confirm=True))
    return rows.annotate(is_in_force=Q(batch__status=Batch.Status.APPLIED))
