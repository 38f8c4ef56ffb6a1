"""Speed in turns, for models that do not fit next to each other: block by block, one engine at a time.

A block is one engine from its start to its end: warm up, then for each load shape the same fixed work
``block_rounds`` times. Two blocks, one of the base model and one of the candidate, are a pair, and the next
pair has them in the opposite order (ABBA), so that a steady drift adds to one what it takes from the other.
The pair is the unit of the interval: what is peculiar to one start of an engine (where its memory lies, which
kernels it chose, how warm the device was) touches all rounds of its block alike, so more rounds in a block
say nothing more about it. For the same reason each block has an engine of its own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from grader.contest import SpeedShape
from grader.problems.catalogue import Stage
from grader.protocol.documents import Progress, Round, SpeedBlock, SpeedResult
from grader.scoring.stats import trimmed_interval
from grader.worker.engine.server import FAR_SLOWER, Engine
from grader.worker.faults import Stopped, failed
from grader.worker.measure import prompts as pool
from grader.worker.measure.gpu import Watch
from grader.worker.measure.load_generator import Block, Line, VoidError, serving_metrics
from grader.worker.measure.order import MAX_VOID_ROUNDS, are_alike, balanced
from grader.worker.sandbox import cpu_affinity
from grader.worker.sandbox.box import Freezer


@dataclass(slots=True)
class _Found:
    """What was measured of one load shape so far."""

    shape: SpeedShape
    pairs: list[Round] = field(default_factory=list)
    blocks: list[SpeedBlock] = field(default_factory=list)
    void: list[str] = field(default_factory=list)
    prompts: list[list[list[int]]] = field(default_factory=list)  # of each round, for both blocks
    work: dict[str, list[Block]] = field(default_factory=lambda: {"base": [], "candidate": []})
    spent_s: float = 0.0
    busy_s: dict[str, float] = field(default_factory=lambda: {"base": 0.0, "candidate": 0.0})
    begun: dict[str, int] = field(default_factory=lambda: {"base": 0, "candidate": 0})

    @property
    def half_width(self) -> float:
        return trimmed_interval([pair.log_ratio for pair in self.pairs])[1]

    def pair_up(self, base_first: bool) -> None:
        """Make a pair of the two latest blocks."""
        by_role = {block.role: block.round_s for block in self.blocks[-2:]}
        self.pairs.append(Round(base_first, by_role["candidate"], by_role["base"]))

    def result(self) -> SpeedResult:
        tokens = self.shape.output_tokens
        return SpeedResult(
            shape=self.shape.id,
            output_tokens=self.shape.requests * tokens,
            rounds=tuple(self.pairs),
            candidate=serving_metrics(self.work["candidate"], tokens),
            base=serving_metrics(self.work["base"], tokens),
            void=tuple(self.void),
            pairing="turns",
            blocks=tuple(self.blocks),
        )


@dataclass(slots=True)
class Session:
    """All load shapes, from the first block to the results."""

    base: Engine
    candidate: Engine
    prompts: pool.Prompts
    generator: random.Random
    progress: Callable[[Progress], None]
    watch: Watch

    def measure(self) -> tuple[SpeedResult, ...]:
        """Run pairs of blocks until every shape's interval is narrow enough.

        Raises:
            Failed, Rejected: as :func:`grader.worker.measure.speed.measure`.
        """
        test = self.base.contest.speed
        found = [_Found(shape) for shape in test.shapes]
        if not found:
            return ()
        # The base model begins, so that a candidate that is too slow can be compared with it.
        order = balanced(self.generator, first=True)
        for number in range(1, test.max_rounds + 1):
            base_first = next(order)
            for one in found:
                one.prompts = [self._draw(one) for _ in range(test.block_rounds)]
            pair = (self.base, self.candidate) if base_first else (self.candidate, self.base)
            for engine in pair:
                self._block(engine, found)
            for one in found:
                one.pair_up(base_first)
            widest = max(one.half_width for one in found)
            self._report(number, f"±{widest:.4f}" if number > 1 else "")
            is_balanced = number % 2 == 0
            if is_balanced and number >= test.min_rounds and widest <= test.aim:
                break
        for one in found:
            if one.half_width > test.max_half_width:
                allowed = f"±{test.max_half_width:g} allowed"
                detail = f"±{one.half_width:.4f} after {len(one.pairs)} pairs of blocks, {allowed}"
                raise failed("SYS_NOISY", one.shape.id, detail)
        return tuple(one.result() for one in found)

    def _block(self, engine: Engine, found: list[_Found]) -> None:
        """One engine, started for this block, with every shape."""
        engine.kill()
        done = len(found[0].pairs)
        self._report(done, f"{engine.model.role}: loading")
        engine.take_turn()
        self.watch.recognize()
        with (
            cpu_affinity.apart(engine.pids, engine.settings),
            engine.frozen() as freezer,
        ):
            for one in found:
                self._report(done, f"{one.shape.id}: {engine.model.role}")
                asyncio.run(self._shape(engine, freezer, one))

    async def _shape(self, engine: Engine, freezer: Freezer, one: _Found) -> None:
        line = Line(engine, one.shape.concurrency, freezer)
        limit_s = engine.settings.speed_timeout_s
        try:
            async with asyncio.timeout(max(0.0, limit_s - one.spent_s)):
                warmup = await self._warm_up(line, one)
                times = await self._rounds(line, one)
        except TimeoutError as error:
            one.busy_s[engine.model.role] += line.busy_s
            raise self._too_slow(one, limit_s) from error
        except VoidError as error:
            raise failed(error.code, one.shape.id, str(error)) from error
        finally:
            await line.close()
        role = engine.model.role
        one.spent_s += line.busy_s
        one.busy_s[role] += line.busy_s
        is_base = role == "base"
        one.blocks.append(
            SpeedBlock("base" if is_base else "candidate", engine.startup_s, warmup, tuple(times))
        )

    async def _warm_up(self, line: Line, one: _Found) -> int:
        """Rounds that do not count, until the engine is steady or the contest's limit is reached."""
        test, last = line.engine.contest.speed, float("inf")
        for number in range(1, test.max_warmup_rounds + 1):
            now = (await self._work(line, one, self._draw(one))).duration_s
            if number >= max(2, test.warmup_rounds) and are_alike(now, last, test.warmup_tolerance):
                return number
            last = now
        return test.max_warmup_rounds

    async def _rounds(self, line: Line, one: _Found) -> list[float]:
        times: list[float] = []
        while len(times) < line.engine.contest.speed.block_rounds:
            try:
                block = await self._work(line, one, one.prompts[len(times)])
                if spoiled := self.watch.look():
                    code, detail = spoiled
                    raise VoidError(detail, code)
            except VoidError as error:
                one.void.append(str(error))
                if len(one.void) > MAX_VOID_ROUNDS:
                    raise
                continue
            one.work[line.engine.model.role].append(block)
            times.append(block.duration_s)
        return times

    async def _work(self, line: Line, one: _Found, prompts: list[list[int]]) -> Block:
        one.begun[line.engine.model.role] += 1
        return await line.block(prompts, one.shape.output_tokens)

    def _draw(self, one: _Found) -> list[list[int]]:
        return self.prompts.draw(one.shape.requests, one.shape.input_tokens)

    def _too_slow(self, one: _Found, limit_s: float) -> Stopped:
        """Whose fault it is, by the mean time of a round: the base model's blocks came first."""
        mean_s = {role: one.busy_s[role] / max(1, n) for role, n in one.begun.items()}
        detail = f"{one.shape.id}: {limit_s:g} s"
        if one.begun["base"] and mean_s["candidate"] > FAR_SLOWER * mean_s["base"]:
            return self.candidate.refusal("RUN_TIMEOUT", detail)
        return failed("SYS_TIMEOUT", one.shape.id, detail)

    def _report(self, done: int, note: str) -> None:
        total = self.base.contest.speed.max_rounds
        self.progress(Progress(Stage.SPEED, done, total, note))
