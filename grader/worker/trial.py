"""The trial of a contest before its event: what a grade would measure, and whether that is what was meant.

Two whole grades, by the function that grades every entry: of the base model itself, and of a reference. Then
the base model once more with ``apply_chat_template`` turned around.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

from grader.contest import Benchmark, Contest
from grader.problems.catalogue import Stage
from grader.protocol.documents import Progress, Report
from grader.protocol.trial import OtherTemplate, Trial
from grader.worker import workspace
from grader.worker.clock import Clock
from grader.worker.engine.launch import launch
from grader.worker.faults import Cancellation
from grader.worker.grade import grade
from grader.worker.intake import base_model
from grader.worker.measure import accuracy
from grader.worker.measure.prompt_facts import PromptRecorder
from grader.worker.sandbox import box
from grader.worker.settings import Settings

Step = Callable[[str], contextlib.AbstractContextManager[Callable[[Progress], None]]]


def measure(
    contest: Contest,
    settings: Settings,
    base: Path,
    reference: Path | None,
    step: Step,
    *,
    name: str = "",
    quick: bool = False,
    cancel: Cancellation | None = None,
) -> Trial:
    """Try the contest on this machine.

    Args:
        base, reference: checkpoints as a team would enter them; ``name`` is the reference's, for people.
        step: called with ``base``, ``reference`` and ``template``; gives what is told of that step's progress.
        quick: said of the trial; ``contest`` is then a smaller one.

    Raises:
        Rejected, Failed, Cancelled: as :func:`grader.worker.grade.grade`.
    """
    cancel = cancel or Cancellation()
    of_base, of_reference = PromptRecorder(), PromptRecorder()
    found: Report | None = None
    with step("base") as progress:
        itself = grade(base, contest, settings, progress, cancel, of_base)
    if reference is not None:
        with step("reference") as progress:
            found = grade(reference, contest, settings, progress, cancel, of_reference)
    with step("template") as progress:
        other = _other_template(contest, settings, progress, cancel)
    return Trial(
        contest=contest.id,
        contest_sha256=contest.sha256,
        grading_sha256=contest.grading_sha256,
        base=itself,
        prompts=tuple(of_base.prompts),
        other_template=other,
        reference=found,
        reference_name=name if found else "",
        reference_prompts=tuple(of_reference.prompts),
        quick=quick,
    )


def _other_template(
    contest: Contest,
    settings: Settings,
    progress: Callable[[Progress], None],
    cancel: Cancellation,
) -> tuple[OtherTemplate, ...]:
    """The benchmarks whose prompts can be had the other way, on the base model alone."""
    turned = [other for b in contest.benchmarks if (other := _turned(b, contest)) is not None]
    if not turned:
        return ()
    clock = Clock(progress, cancel)
    level = box.require(settings, contest.hardware.sandbox)
    with workspace.create(settings) as folder:
        clock.begin(Stage.LOAD)
        models = (base_model(contest, settings),)
        tasks = accuracy.find_tasks(contest, folder / "tasks")
        with launch(models, contest, settings, folder, level, cancel) as (engine,):
            clock.begin(Stage.QUALITY)
            runs = [accuracy.run(engine, b, tasks, clock.report) for b in turned]
            clock.end()
    return tuple(
        OtherTemplate(b.id, b.apply_chat_template, tuple(answer.value for answer in run.answers))
        for b, run in zip(turned, runs, strict=True)
    )


def _turned(benchmark: Benchmark, contest: Contest) -> Benchmark | None:
    """With the template where there was none, and the other way round; None where there is no template."""
    if benchmark.apply_chat_template:
        return dataclasses.replace(benchmark, apply_chat_template=False, fewshot_as_multiturn=False)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(contest.base_folder))
    if not tokenizer.chat_template:
        return None
    return dataclasses.replace(benchmark, apply_chat_template=True)
