"""A GPU worker without a GPU: it claims, fetches, checks, rebuilds and reports as any worker does, but where
engines would load, answer and be timed, it waits.

``python -m tests.rehearsal.grader FOLDER PARENT``: FOLDER has ``ID.json`` for each contest, the report to send.
"""

from __future__ import annotations

import dataclasses
import json
import random
import sys
import time
from collections.abc import Callable
from logging.config import dictConfig
from pathlib import Path
from statistics import fmean

from grader import companion, logs
from grader.contest import Contest
from grader.problems.catalogue import Stage
from grader.protocol.documents import Item, MemoryResult, Progress, QualityResult, Report
from grader.schema import decode
from grader.worker import polling, run, workspace
from grader.worker.clock import Clock
from grader.worker.faults import Cancellation
from grader.worker.intake import Checked, prepare
from grader.worker.settings import Settings

# A hundredth of what a grade of aimers8 takes on an L4.
SECONDS = ((Stage.LOAD, 2.0), (Stage.QUALITY, 8.0), (Stage.SPEED, 3.0))


def main(reports: Path, parent: int) -> None:
    templates = {file.stem: file.read_text("utf-8") for file in reports.glob("*.json")}

    def grade(
        source: Path | Checked,
        contest: Contest,
        settings: Settings,
        progress: Callable[[Progress], None],
        cancel: Cancellation,
        *_: object,  # a recorder, and the base model's engine
    ) -> Report:
        clock = Clock(progress, cancel)
        template = decode(Report, json.loads(templates[contest.id]))
        questions = sum(len(result.items) for result in template.quality)
        with workspace.create(settings) as folder:
            found = prepare(source, folder, contest, clock)
            for stage, seconds in SECONDS:
                clock.begin(stage)
                began = time.monotonic()
                while (share := (time.monotonic() - began) / seconds) < 1:
                    clock.report(Progress(stage, int(share * questions), questions))
                    time.sleep(0.2)
            clock.end()
        generator = random.Random(found.facts.content_sha256)
        return dataclasses.replace(
            template,
            checkpoint=found.facts,
            quality=tuple(_answered(result, generator) for result in template.quality),
            memory=MemoryResult(found.facts.safetensors_bytes, template.memory.base_bytes),
            notices=found.notices,
        )

    companion.end_with(parent)
    run.grade = grade
    settings = Settings.from_env()
    dictConfig(logs.config(settings.log_format, "INFO"))
    polling.poll(settings, lambda found, stop: run.run_pending(found, stop=stop))


def _answered(result: QualityResult, generator: random.Random) -> QualityResult:
    """The same questions answered by another model, which loses some of them."""

    def answer(item: Item) -> Item:
        return dataclasses.replace(item, value=item.base_value * (generator.random() < 0.95))

    items = tuple(map(answer, result.items))
    return dataclasses.replace(
        result,
        items=items,
        value=fmean(item.value for item in items),
        base_value=fmean(item.base_value for item in items),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
