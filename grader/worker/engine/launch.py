"""Starts the engines of a grade: next to each other, or in turns where both do not fit."""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from grader.contest import Contest
from grader.worker.engine.kept_base import KeptBase
from grader.worker.engine.server import Engine, Model
from grader.worker.faults import Cancellation, Rejected, failed
from grader.worker.measure import system
from grader.worker.settings import Settings

VLLM_NOTES = Path("home", ".cache", "vllm", "modelinfos")


class Turns:
    """Which of several engines runs, where they do not fit next to each other: never two at once.

    vLLM's sleep mode would spare the loading. Its addresses exist only with VLLM_SERVER_DEV_MODE, which also
    opens those that run methods in the worker processes; level 2 does not bring repacked quantized weights
    back; and what an engine that sleeps keeps on the device stays there for as long as it, and the team's
    checkpoint in it, please. So an engine is ended and started anew.
    """

    def __init__(
        self, engines: Sequence[Engine], cancel: Cancellation, require_free: Callable[[], None]
    ) -> None:
        self._engines, self._cancel, self._require_free = engines, cancel, require_free

    def give(self, engine: Engine) -> None:
        """End whatever runs, start ``engine`` and wait until it serves.

        Raises:
            Failed: it did not come up, although it did before.
        """
        for other in self._engines:
            other.kill()
        self._cancel.check()
        self._require_free()
        engine.start()
        try:
            engine.wait_ready(self._cancel.check, self._engines[0].startup_s)
        except Rejected as fault:  # the same files were served a moment ago
            problem = fault.problems[0]
            detail = f"not up again: {problem.code} {problem.detail}"
            raise failed("SYS_ENGINE_DIED", engine.model.role, detail, fault.log) from fault


@contextlib.contextmanager
def launch(
    models: tuple[Model, ...],
    contest: Contest,
    settings: Settings,
    scratch: Path,
    level: str,
    cancel: Cancellation,
    kept: KeptBase | None = None,
) -> Iterator[list[Engine]]:
    """Start one engine per model, wait until all serve, and finally kill all of them.

    The base model's engine is taken from ``kept`` and left there, where the engines run side by side: in turns,
    one would be in the other's way. If the grade is canceled, it is killed too, since it may hold a request.

    The base model's engine is awaited first, so that its failure is not blamed on the candidate. On a CPU the
    engines start in parallel. On a GPU they start in sequence: vLLM measures free device memory before and
    after loading, and would count another engine's allocations as its own.

    Where the contest's engines take turns, each has served once when this yields, and the last one runs.
    """
    in_turns = contest.speed.pairing == "turns"
    one_by_one = in_turns or settings.device == "cuda"
    require_free = functools.partial(
        system.require_free_gpus, settings, contest.engine.tensor_parallel
    )

    def start(model: Model, parent: Path) -> Engine:
        folder = parent / model.role
        for private in ("home", "tmp"):
            (folder / private).mkdir(parents=True)
        _bring_notes(settings, folder)
        return Engine(model, contest, settings, folder, level)

    def await_(engine: Engine) -> None:
        if not engine.startup_s:  # not one that has been up since an earlier grade
            engine.wait_ready(cancel.check, engines[0].startup_s)
            if kept and engine.model.role == "base":
                kept.gpu_processes = system.gpu_processes(settings, contest.engine.tensor_parallel)

    if kept and (in_turns or not settings.base_engine_grades):
        kept.end()
        kept = None
    if kept:
        kept.prepare(models[0], contest, level)
    require_free(kept.gpu_processes if kept else frozenset())
    with contextlib.ExitStack() as stack:
        engines: list[Engine] = []
        for model in models:
            if in_turns:
                for before in engines:
                    before.kill()
                require_free()
            if kept and model.role == "base":
                engine = kept.lend(model, contest, level, start)
                stack.callback(kept.rest)
            else:
                engine = start(model, scratch)
                stack.callback(engine.kill)
            cancel.on_cancel(engine.kill)
            engines.append(engine)
            if one_by_one:
                await_(engine)
        for engine in engines:
            await_(engine)
        if in_turns:
            turns = Turns(engines, cancel, require_free)
            for engine in engines:
                engine.take_turns(turns.give)
        _keep_notes(settings, engines[0].uds.parent)
        yield engines


def _bring_notes(settings: Settings, folder: Path) -> None:
    """Copy vLLM's cached inspection of its model classes; otherwise each engine starts an interpreter for
    it."""
    notes = settings.cache / "modelinfos"
    if notes.is_dir():
        shutil.copytree(notes, folder / VLLM_NOTES)


def _keep_notes(settings: Settings, base: Path) -> None:
    """Keep the base engine's cache, never a candidate's, since that one has read a team's files."""
    notes = settings.cache / "modelinfos"
    if (base / VLLM_NOTES).is_dir() and not notes.exists():
        settings.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=settings.cache) as fresh:
            shutil.copytree(base / VLLM_NOTES, Path(fresh, "modelinfos"))
            Path(fresh, "modelinfos").rename(notes)
