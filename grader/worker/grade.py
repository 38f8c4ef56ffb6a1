"""Grades one checkpoint from start to finish. The worker and the participant's CLI call the same function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from grader.contest import Contest
from grader.problems.catalogue import Stage
from grader.protocol.documents import MemoryResult, Progress, Report
from grader.worker import workspace
from grader.worker.clock import Clock
from grader.worker.engine.kept_base import KeptBase
from grader.worker.engine.launch import launch
from grader.worker.faults import Cancellation
from grader.worker.intake import Checked, base_model, prepare, require_unchanged
from grader.worker.measure import (
    accuracy,
    compliance,
    gpu,
    likelihoods,
    lm_eval_client,
    samples,
    speed,
    system,
)
from grader.worker.measure.recorder import Recorder
from grader.worker.sandbox import box
from grader.worker.settings import Settings


def grade(
    source: Path | Checked,
    contest: Contest,
    settings: Settings,
    progress: Callable[[Progress], None] = lambda _: None,
    cancel: Cancellation | None = None,
    recorder: Recorder | None = None,
    kept: KeptBase | None = None,
) -> Report:
    """Check the checkpoint ``source`` (an archive or a folder) unless it was checked ahead, run it next to the
    base model, and report.

    ``progress`` receives the current stage. ``cancel`` stops it from another thread and kills the engines.
    ``recorder`` sees the candidate's accuracy run. ``kept`` has the base model's engine.

    Raises:
        Rejected: the checkpoint is at fault; carries the problems and the end of the engine's log.
        Failed: we are at fault; carries the same.
        Cancelled: ``cancel`` was used.
    """
    cancel = cancel or Cancellation()
    clock = Clock(progress, cancel)
    lm_eval_client.prepare_process(settings.cache)
    level = box.require(settings, contest.hardware.sandbox)

    with workspace.create(settings) as folder:
        model, facts, notices = prepare(source, folder, contest, clock)
        models = base_model(contest, settings), model

        clock.begin(Stage.LOAD)
        require_unchanged(model, facts, contest)
        with launch(models, contest, settings, folder, level, cancel, kept) as (base, candidate):
            clock.begin(Stage.QUALITY)
            recorder = recorder or Recorder()
            results = accuracy.measure(base, candidate, folder, clock.report, recorder)
            spoken = samples.collect(base, candidate)

            clock.begin(Stage.SPEED)
            watch = gpu.Watch.begin(settings, contest.engine.tensor_parallel)
            times = speed.measure(base, candidate, clock.report, watch)
            state = watch.end()
            checks = compliance.check(base, candidate, results, recorder)
            # From here on the candidate's engine has seen right answers, so nothing may come after.
            known = likelihoods.measure(base, candidate, recorder)
            clock.end()

    return Report(
        contest=contest.id,
        contest_sha256=contest.sha256,
        checkpoint=facts,
        quality=results,
        memory=MemoryResult(
            checkpoint_bytes=facts.safetensors_bytes,
            base_bytes=base.model.weights_bytes,
            loaded_bytes=candidate.loaded_bytes,
            base_loaded_bytes=base.loaded_bytes,
        ),
        speed=times,
        system=system.describe(settings, level, candidate.published_flags, state),
        stages=clock.stages,
        notices=notices,
        samples=spoken,
        checks=checks,
        likelihoods=known,
    )
