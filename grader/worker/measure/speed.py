"""Measures speed in pairs: base and candidate do the same work one after the other, so noise affects both.

Here both are loaded, next to each other; where they do not fit, :mod:`grader.worker.measure.turns` measures.

For each load shape: warm up until steady, then run rounds. In a round, each engine does the same fixed work
once, one right after the other. The first engine is drawn at random and swapped in the next round (ABBA), which
cancels drift. The result is the trimmed mean of the log ratios of the two times. Rounds are added until its 95
% interval is narrow enough. If the machine is too noisy for that, it is our fault, not the team's.
"""

from __future__ import annotations

import asyncio
import gc
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from grader.contest import SpeedShape, SpeedTest
from grader.problems.catalogue import Stage
from grader.protocol.documents import Progress, Round, SpeedResult
from grader.scoring.stats import trimmed_interval
from grader.worker.engine.server import FAR_SLOWER, Engine
from grader.worker.faults import Stopped, failed
from grader.worker.measure import prompts as pool
from grader.worker.measure import turns
from grader.worker.measure.gpu import Watch
from grader.worker.measure.load_generator import Block, Line, VoidError, serving_metrics
from grader.worker.measure.order import MAX_VOID_ROUNDS, are_alike, balanced
from grader.worker.sandbox import cpu_affinity

# A waiting engine is not idle: with several processes, one spins for 1 s after its last work (vLLM's
# SpinCondition). On 2 CPU cores, the second engine took twice as long. So the waiting engine is frozen;
# where that is not possible, it gets time to settle.
REST_S = 1.2


def measure(
    base: Engine,
    candidate: Engine,
    progress: Callable[[Progress], None],
    watch: Watch | None = None,
) -> tuple[SpeedResult, ...]:
    """Measure every load shape of the contest.

    Raises:
        Failed: SYS_NOISY, SYS_RESULT_INVALID (answers of the wrong length, repeatedly), SYS_GPU_DIRTY,
            SYS_TIMEOUT, SYS_ENGINE_DIED, SYS_DATASET.
        Rejected: RUN_TIMEOUT.
    """
    contest, settings = base.contest, base.settings
    watch = watch or Watch()
    # Separate and unseeded: lm-eval seeds the global generator, and the order of rounds must be unpredictable.
    generator = random.Random()
    prompts = pool.load(contest, generator)
    # Collecting lm-eval's garbage takes 100 ms, which would land in one of the rounds.
    gc.collect()
    gc.freeze()
    try:
        if contest.speed.pairing == "turns":
            return turns.Session(base, candidate, prompts, generator, progress, watch).measure()
        results = []
        with cpu_affinity.apart([*base.pids, *candidate.pids], settings):
            for shape in contest.speed.shapes:
                session = _Session(
                    base,
                    candidate,
                    shape,
                    contest.speed,
                    prompts,
                    generator,
                    progress,
                    watch,
                )
                results.append(asyncio.run(session.measure(settings.speed_timeout_s)))
        return tuple(results)
    finally:
        gc.unfreeze()


@dataclass(slots=True)
class _Session:
    """Measure one load shape, from warm-up to result."""

    base: Engine
    candidate: Engine
    shape: SpeedShape
    test: SpeedTest
    prompts: pool.Prompts
    generator: random.Random
    progress: Callable[[Progress], None]
    watch: Watch
    rounds: list[Round] = field(default_factory=list)
    void: list[str] = field(default_factory=list)
    blocks: dict[str, list[Block]] = field(default_factory=lambda: {"base": [], "candidate": []})

    async def measure(self, timeout_s: float) -> SpeedResult:
        with self.base.frozen() as base, self.candidate.frozen() as candidate:
            lines = [
                Line(self.base, self.shape.concurrency, base),
                Line(self.candidate, self.shape.concurrency, candidate),
            ]
            try:
                async with asyncio.timeout(timeout_s):
                    await self._warm_up(*lines)
                    await self._measured_rounds(*lines)
            except TimeoutError as error:
                raise self._too_slow(lines[0], lines[1], timeout_s) from error
            except VoidError as error:
                raise failed(error.code, self.shape.id, str(error)) from error
            finally:
                for line in lines:
                    await line.close()
        return SpeedResult(
            shape=self.shape.id,
            output_tokens=self.shape.requests * self.shape.output_tokens,
            rounds=tuple(self.rounds),
            candidate=serving_metrics(self.blocks["candidate"], self.shape.output_tokens),
            base=serving_metrics(self.blocks["base"], self.shape.output_tokens),
            void=tuple(self.void),
        )

    async def _warm_up(self, *lines: Line) -> None:
        """Run rounds that do not count until both engines are steady or the contest's limit is reached."""
        last = [math.inf] * len(lines)
        for number in range(1, self.test.max_warmup_rounds + 1):
            self._report(0, f"warm-up {number}")
            work = self._draw()
            times = [(await self._block(line, work)).duration_s for line in lines]
            steady = all(
                are_alike(now, before, self.test.warmup_tolerance)
                for now, before in zip(times, last, strict=True)
            )
            last = times
            if number >= max(2, self.test.warmup_rounds) and steady:
                return

    async def _measured_rounds(self, base: Line, candidate: Line) -> None:
        half_width = math.inf
        order = balanced(self.generator)
        base_first = next(order)
        while len(self.rounds) < self.test.max_rounds:
            try:
                await self._round(base, candidate, base_first)
            except VoidError as error:
                self.void.append(str(error))
                if len(self.void) > MAX_VOID_ROUNDS:
                    raise
                continue
            base_first = next(order)
            half_width = trimmed_interval([r.log_ratio for r in self.rounds])[1]
            self._report(len(self.rounds), f"±{half_width:.4f}")
            if len(self.rounds) >= self.test.min_rounds and half_width <= self.test.aim:
                return
        if half_width <= self.test.max_half_width:
            return
        detail = f"±{half_width:.4f} after {len(self.rounds)} rounds, ±{self.test.max_half_width:g} allowed"
        raise failed("SYS_NOISY", self.shape.id, detail)

    async def _round(self, base: Line, candidate: Line, base_first: bool) -> None:
        work = self._draw()
        done: dict[str, Block] = {}
        for line in (base, candidate) if base_first else (candidate, base):
            done[line.engine.model.role] = await self._block(line, work)
        if spoilt := self.watch.look():
            code, detail = spoilt
            raise VoidError(detail, code)
        for role, block in done.items():
            self.blocks[role].append(block)
        self.rounds.append(Round(base_first, done["candidate"].duration_s, done["base"].duration_s))

    async def _block(self, line: Line, work: list[list[int]]) -> Block:
        if not line.freezer.works:
            await asyncio.sleep(REST_S)
        return await line.block(work, self.shape.output_tokens)

    def _draw(self) -> list[list[int]]:
        return self.prompts.draw(self.shape.requests, self.shape.input_tokens)

    def _report(self, done: int, note: str) -> None:
        self.progress(Progress(Stage.SPEED, done, self.test.max_rounds, f"{self.shape.id}: {note}"))

    def _too_slow(self, base: Line, candidate: Line, timeout_s: float) -> Stopped:
        detail = f"{self.shape.id}: {timeout_s:g} s"
        if candidate.busy_s > FAR_SLOWER * base.busy_s:
            return self.candidate.refusal("RUN_TIMEOUT", detail)
        return failed("SYS_TIMEOUT", self.shape.id, detail)
