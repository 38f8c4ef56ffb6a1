"""A GPU worker whose grade is a stub: it asks, claims, fetches, checks and reports as any worker does, but
where engines would load, answer and be timed, it waits.

``python -m tests.bench.stub_worker REPORT SECONDS PARENT``
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from logging.config import dictConfig
from pathlib import Path

from grader import companion, logs
from grader.contest import Contest
from grader.problems.catalogue import Stage
from grader.protocol.documents import MemoryResult, Progress, Report
from grader.schema import decode
from grader.worker import polling, run, workspace
from grader.worker.clock import Clock
from grader.worker.engine.kept_base import KeptBase
from grader.worker.faults import Cancellation
from grader.worker.intake import Checked, prepare
from grader.worker.measure.recorder import Recorder
from grader.worker.settings import Settings

SHARES = ((Stage.LOAD, 0.2), (Stage.QUALITY, 0.5), (Stage.SPEED, 0.3))


def main(report: Path, seconds: float, parent: int) -> None:
    template = decode(Report, json.loads(report.read_text("utf-8")))

    def grade(
        source: Path | Checked,
        contest: Contest,
        settings: Settings,
        progress: Callable[[Progress], None],
        cancel: Cancellation,
        recorder: Recorder | None = None,
        kept: KeptBase | None = None,
    ) -> Report:
        clock = Clock(progress, cancel)
        with workspace.create(settings) as folder:
            facts = prepare(source, folder, contest, clock).facts
            for stage, share in SHARES:
                clock.begin(stage)
                until = time.monotonic() + share * seconds
                while time.monotonic() < until:
                    clock.check()
                    time.sleep(0.05)
        memory = MemoryResult(facts.safetensors_bytes, template.memory.base_bytes)
        return dataclasses.replace(template, checkpoint=facts, memory=memory)

    companion.end_with(parent)
    run.grade = grade
    settings = Settings.from_env()
    dictConfig(logs.config(settings.log_format, "INFO"))
    polling.poll(settings, lambda found, stop: run.run_pending(found, stop=stop, wait=stop.wait))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
