"""Sends fixed work to an engine: streamed completions of an exact length, timed token by token."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from grader.protocol.documents import ServingMetrics
from grader.scoring.stats import percentile
from grader.worker.engine.server import MODEL_NAME, Engine
from grader.worker.faults import first_of
from grader.worker.sandbox.box import Freezer

END = b"\n\n"  # end of one server-sent event
TAIL_BYTES = 4096  # part of the stream that is kept; the last event has the counts
BYTES_PER_TOKEN = 4096


class VoidError(Exception):
    """The round does not count because the work was not exactly what was requested, or the machine was
    disturbed.

    ``code`` is the problem to report if it keeps happening.
    """

    def __init__(self, detail: str, code: str = "SYS_RESULT_INVALID") -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Reply:
    """One response. ``arrivals_s`` are the arrival times of its events since the request."""

    arrivals_s: tuple[float, ...]
    latency_s: float

    @property
    def ttft_s(self) -> float:
        return self.arrivals_s[0]


@dataclass(frozen=True, slots=True)
class Block:
    """All requests of one round on one engine."""

    duration_s: float
    replies: tuple[Reply, ...]


class Line:
    """The connection to one engine. Every request opens a new connection, which costs microseconds on a Unix
    socket: the server closes idle connections after 5 s, possibly during our next request.
    """

    def __init__(self, engine: Engine, concurrency: int, freezer: Freezer) -> None:
        self.engine = engine
        self.concurrency = concurrency
        self.freezer = freezer
        self.busy_s = 0.0
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(
                uds=str(engine.uds),
                limits=httpx.Limits(max_connections=concurrency, max_keepalive_connections=0),
            ),
            base_url="http://engine",
            timeout=engine.settings.silence_s,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def block(self, prompts: Sequence[list[int]], output_tokens: int) -> Block:
        """Send all prompts, ``concurrency`` at a time, starting the next whenever one finishes.

        The engine runs inside this block and is frozen before and after it.

        Raises:
            VoidError: a response is not what was requested.
            Failed: the engine crashed or hangs.
        """
        waiting = iter(prompts)
        replies: list[Reply] = []

        async def work() -> None:
            for prompt in waiting:
                replies.append(await self._ask(prompt, output_tokens))

        self.freezer.run()
        started = time.perf_counter()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self.concurrency, len(prompts))):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            error = first_of(errors)
            if isinstance(error, httpx.TransportError):
                raise self.engine.died(error) from error
            raise error from None
        finally:
            ended = time.perf_counter()
            self.busy_s += ended - started
            self.freezer.stop()
        return Block(ended - started, tuple(replies))

    async def _ask(self, prompt: list[int], output_tokens: int) -> Reply:
        body = {
            "model": MODEL_NAME,
            "prompt": prompt,
            "max_tokens": output_tokens,
            "min_tokens": output_tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        limit = 65536 + BYTES_PER_TOKEN * output_tokens
        arrivals: list[float] = []
        tail, size = b"", 0
        started = time.perf_counter()
        async with self._client.stream("POST", "/v1/completions", json=body) as response:
            async for chunk in response.aiter_raw():
                # Do as little as possible per token, so that this process does not affect the measurement.
                now = time.perf_counter() - started
                arrivals += [now] * chunk.count(END)
                tail = (tail + chunk)[-TAIL_BYTES:]
                size += len(chunk)
                if size > limit:
                    raise VoidError(f"{self.engine.model.role}: answer longer than {limit} bytes")
        if response.status_code != 200:
            text = tail.decode("utf-8", "replace")[:200]
            raise VoidError(f"{self.engine.model.role}: HTTP {response.status_code} {text}")
        counted = _completion_tokens(tail)
        if counted != output_tokens:
            role = self.engine.model.role
            raise VoidError(f"{role}: {counted} tokens instead of {output_tokens}")
        tokens = arrivals[:-2]  # the last two events are the counts and [DONE]
        if not tokens:
            raise VoidError(f"{self.engine.model.role}: stream without tokens")
        return Reply(tuple(tokens), tokens[-1])


def _completion_tokens(tail: bytes) -> int | None:
    """Read the event that carries the usage, or return None if there is none."""
    for event in reversed(tail.split(END)):
        if event.startswith(b"data: {") and b'"usage"' in event:
            try:
                usage: Any = json.loads(event[len(b"data: ") :]).get("usage")
                return int(usage["completion_tokens"])
            except (ValueError, LookupError, TypeError, AttributeError):
                return None
    return None


def serving_metrics(blocks: Sequence[Block], output_tokens: int) -> ServingMetrics:
    """Summarize with the definitions of ``vllm bench serve``; durations are in milliseconds."""
    replies = [reply for block in blocks for reply in block.replies]
    ttft = [1000 * reply.ttft_s for reply in replies]
    e2el = [1000 * reply.latency_s for reply in replies]
    gaps = max(1, output_tokens - 1)
    tpot = [1000 * (reply.latency_s - reply.ttft_s) / gaps for reply in replies]
    itl = [
        1000 * (later - earlier)
        for reply in replies
        for earlier, later in zip(reply.arrivals_s, reply.arrivals_s[1:], strict=False)
    ]
    return ServingMetrics(
        mean_ttft_ms=statistics.fmean(ttft),
        median_ttft_ms=percentile(ttft, 0.5),
        p99_ttft_ms=percentile(ttft, 0.99),
        mean_tpot_ms=statistics.fmean(tpot),
        median_tpot_ms=percentile(tpot, 0.5),
        p99_tpot_ms=percentile(tpot, 0.99),
        mean_itl_ms=statistics.fmean(itl) if itl else 0.0,
        median_itl_ms=percentile(itl, 0.5) if itl else 0.0,
        p99_itl_ms=percentile(itl, 0.99) if itl else 0.0,
        mean_e2el_ms=statistics.fmean(e2el),
        median_e2el_ms=percentile(e2el, 0.5),
        p99_e2el_ms=percentile(e2el, 0.99),
        output_tokens_per_s=output_tokens * len(replies) / sum(b.duration_s for b in blocks),
    )
