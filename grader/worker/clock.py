"""Tracks the stage a grade has reached and how long each stage took."""

from __future__ import annotations

import time
from collections.abc import Callable

from grader.problems.catalogue import Stage
from grader.protocol.documents import Progress, StageTime
from grader.worker.faults import Cancellation


class Clock:
    """Times stages and forwards progress. A grade can be stopped at every progress report."""

    def __init__(self, tell: Callable[[Progress], None], cancel: Cancellation) -> None:
        self._tell = tell
        self._cancel = cancel
        self._done: list[StageTime] = []
        self._current: tuple[Stage, float] | None = None

    @property
    def stages(self) -> tuple[StageTime, ...]:
        """Return the completed stages in order."""
        return tuple(self._done)

    def report(self, progress: Progress) -> None:
        """Raise :class:`~grader.worker.faults.Cancelled` if the grade is no longer wanted."""
        self.check()
        self._tell(progress)

    def check(self) -> None:
        """Raise :class:`~grader.worker.faults.Cancelled` if the grade is no longer wanted."""
        self._cancel.check()

    def begin(self, stage: Stage) -> None:
        """End the current stage."""
        self.end()
        self._current = stage, time.monotonic()
        self.report(Progress(stage))

    def end(self) -> None:
        if self._current is not None:
            stage, started = self._current
            self._done.append(StageTime(stage, round(time.monotonic() - started, 3)))
        self._current = None
