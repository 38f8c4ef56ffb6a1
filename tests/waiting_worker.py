"""A GPU worker without a GPU: it claims, fetches, checks, rebuilds and reports as any worker does, but where
engines would load, answer and be timed, it waits.

``python -m tests.waiting_worker FOLDER SECONDS PARENT``: FOLDER has ``ID.json`` for each contest, the report to
send. :func:`start` starts several.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from logging.config import dictConfig
from pathlib import Path
from statistics import fmean
from typing import Any

from grader import companion, logs
from grader.contest import Contest
from grader.problems.catalogue import Stage
from grader.protocol.documents import Item, MemoryResult, Progress, QualityResult, Report
from grader.schema import decode, encode
from grader.worker import polling, run, workspace
from grader.worker.clock import Clock
from grader.worker.faults import Cancellation
from grader.worker.intake import Checked, prepare
from grader.worker.settings import Settings

SHARES = ((Stage.LOAD, 0.2), (Stage.QUALITY, 0.5), (Stage.SPEED, 0.3))


def start(
    processes: Any,
    count: int,
    reports: Mapping[str, Report],
    home: Path,
    url: str,
    seconds: float,
) -> list[Path]:
    """Start ``count`` workers that take ``seconds`` a grade, and return their scratch folders.

    Args:
        processes: starts them and ends them (``leaderboard.local.processes``).
        reports: by contest, the report to send.
        home: of the site, whose contests they read.
    """
    from leaderboard import workers

    folder = home / "reports"
    folder.mkdir()
    for contest, report in reports.items():
        (folder / f"{contest}.json").write_text(json.dumps(encode(report)), "utf-8")
    scratches = []
    for number in range(count):
        name = f"gpu-{number}"
        scratches.append(processes.folder("pb-"))
        environment = {
            "GRADER_SITE_URL": url,
            "GRADER_TOKEN": workers.register(name, by="test")[1],
            "GRADER_NAME": name,
            "GRADER_SCRATCH": str(scratches[-1]),
            "GRADER_CACHE": str(home / "cache"),
            "GRADER_CONTESTS": str(home / "contests"),
        }
        arguments = [str(folder), str(seconds), str(os.getpid())]
        processes.start(
            name, [sys.executable, "-m", "tests.waiting_worker", *arguments], environment
        )
    return scratches


def main(reports: Path, seconds: float, parent: int) -> None:
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
            for stage, share in SHARES:
                clock.begin(stage)
                began = time.monotonic()
                while (part := (time.monotonic() - began) / (share * seconds)) < 1:
                    clock.report(Progress(stage, int(part * questions), questions))
                    time.sleep(0.05)
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
    polling.poll(settings, lambda found, stop: run.run_pending(found, stop=stop, wait=stop.wait))


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
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
