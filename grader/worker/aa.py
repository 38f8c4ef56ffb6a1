"""The A/A test on the worker: two engines with the base model, measured like base and candidate in a grade."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from grader.contest import Contest
from grader.problems.catalogue import Stage
from grader.protocol.documents import AAReport, Progress
from grader.worker import workspace
from grader.worker.clock import Clock
from grader.worker.engine.kept_base import KeptBase
from grader.worker.engine.launch import launch
from grader.worker.faults import Cancellation, Failed, Rejected
from grader.worker.intake import base_model
from grader.worker.measure import speed, system
from grader.worker.sandbox import box
from grader.worker.settings import Settings


def measure(
    contest: Contest,
    settings: Settings,
    progress: Callable[[Progress], None] = lambda _: None,
    cancel: Cancellation | None = None,
    kept: KeptBase | None = None,
) -> AAReport:
    """Run the contest's speed test with the base model on both sides, one of them kept up as in a grade.

    Raises:
        Failed: any fault belongs to this worker, since no checkpoint is involved.
        Cancelled: ``cancel`` was used.
    """
    cancel = cancel or Cancellation()
    clock = Clock(progress, cancel)
    level = box.require(settings, contest.hardware.sandbox)
    base = base_model(contest, settings)
    models = base, replace(base, role="candidate")
    try:
        with workspace.create(settings) as folder:
            clock.begin(Stage.LOAD)
            with launch(models, contest, settings, folder, level, cancel, kept) as (first, second):
                clock.begin(Stage.SPEED)
                times = speed.measure(first, second, clock.report)
                clock.end()
    except Rejected as fault:  # here the "candidate" is the base model
        raise Failed(fault.problems, fault.log) from fault
    return AAReport(
        contest=contest.id,
        contest_sha256=contest.sha256,
        speed=times,
        system=system.describe(settings, level, second.published_flags),
        stages=clock.stages,
    )
