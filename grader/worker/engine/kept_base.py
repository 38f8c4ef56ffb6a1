"""The base model's engine between grades: started once, then lent to one grade after another.

Loading it takes a minute on a CPU and several on a GPU, for the same process every time: the organizer's files
and pinned flags. It carries nothing from one grade to the next that could favor anybody: there is no prefix
cache, every measurement begins with a warm-up of both engines, and ``GRADER_BASE_ENGINE_GRADES`` bounds what
may accumulate. The candidate's engine is always new, and neither sandbox can see into the other.

Its keeper ends it with this process, however that happens, and its folder is cleaned up like a candidate's.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from grader.contest import Contest
from grader.worker import workspace
from grader.worker.engine.server import Engine, Model
from grader.worker.settings import Settings

_log = logging.getLogger(__name__)


class KeptBase:
    """Use as a context manager, by one grade at a time; the engine ends with the block at the latest."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine: Engine | None = None
        self._loads: object = None
        self._grades = 0
        self._used = 0.0
        self._folder = contextlib.ExitStack()
        # What computes on the GPUs on its behalf, as they report it: in a container, not the ids of /proc.
        self.gpu_processes: frozenset[int] = frozenset()

    def __enter__(self) -> KeptBase:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def idle_left_s(self) -> float:
        """How much longer it waits for another grade; 0 if none is up."""
        if self._engine is None:
            return 0.0
        return max(0.0, self._used + self._settings.base_engine_idle_s - time.monotonic())

    def prepare(self, model: Model, contest: Contest, level: str) -> None:
        """End the engine unless it is what the next grade needs, has served few enough, and is well."""
        if self._engine is None:
            return
        if self._loads != _loads(model, contest, level):
            reason = "the next grade needs another one"
        elif self._grades >= self._settings.base_engine_grades:
            reason = f"it has served {self._grades} grades"
        elif not self._engine.is_well():
            reason = "it does not answer as it should"
        else:
            return
        _log.info("the base model's engine ends: %s", reason)
        self.end()

    def lend(
        self, model: Model, contest: Contest, level: str, start: Callable[[Model, Path], Engine]
    ) -> Engine:
        """Return the engine that :meth:`prepare` left, or a new one, which :meth:`Engine.wait_ready` has to
        await.
        """
        if self._engine is None:
            # Before it starts, so that files changed while it loads count as changed.
            self._loads = _loads(model, contest, level)
            folder = self._folder.enter_context(workspace.create(self._settings))
            self._engine = start(model, folder)
            self._folder.callback(self._engine.kill)
        self._grades += 1
        return self._engine

    def rest(self) -> None:
        """A grade is over: from here on it is idle."""
        self._used = time.monotonic()

    def end(self) -> None:
        """End its processes and remove its folder. May be called twice."""
        self._engine, self._grades, self.gpu_processes = None, 0, frozenset()
        self._folder.close()


def _loads(model: Model, contest: Contest, level: str) -> object:
    """Everything that an engine for this grade would be started with, besides the worker's own settings."""
    folders = sorted({model.folder, contest.base_folder})
    files = [
        (str(file), (stat := file.stat()).st_size, stat.st_mtime_ns)
        for folder in folders
        for file in sorted(folder.iterdir())
    ]
    return contest.id, contest.sha256, model, level, files
