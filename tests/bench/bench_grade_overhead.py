"""A whole grade ÷ the same work by hand: two engines started, lm-eval's own client, the same speed rounds.

Both use the base model's stored answers, run the same number of rounds, and alternate. Everything else the
grade does (unpacking, checking, rebuilding, the sandbox, samples, compliance) is the overhead.
"""

from __future__ import annotations

import concurrent.futures
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from grader.contest import Benchmark, Contest, SpeedShape
from grader.worker.engine import flags
from grader.worker.grade import grade
from grader.worker.intake import base_model
from grader.worker.measure import accuracy, lm_eval_client, prompts
from grader.worker.settings import Settings
from tests.bench.grading import compressed, demo, worker
from tests.bench.harness import alternate

ROUNDS, WARM_UP = 20, 2


def run(quick: bool) -> dict[str, object]:
    contest = demo(
        min_rounds=ROUNDS,
        max_rounds=ROUNDS,
        max_half_width=99.0,
        aim_half_width=0.0,
        warmup_rounds=WARM_UP,
        max_warmup_rounds=WARM_UP,
    )
    with worker() as settings:
        checkpoint = compressed(contest, settings.scratch.parent / "checkpoint")
        lm_eval_client.prepare_process(settings.cache)

        def ours() -> None:
            grade(checkpoint, contest, settings)

        def by_hand() -> None:
            _by_hand(checkpoint, contest, settings)

        found = alternate(ours, by_hand, 1 if quick else 3)
    return {
        "ratio": round(found.ratio, 3),
        "grade_s": [round(s, 1) for s in found.ours_s],
        "by_hand_s": [round(s, 1) for s in found.known_s],
    }


def _by_hand(checkpoint: Path, contest: Contest, settings: Settings) -> None:
    folder = settings.scratch / f"hand-{time.monotonic_ns()}"
    folder.mkdir(parents=True)
    engines = [
        _Engine(model, folder / name, contest, settings)
        for name, model in (
            ("base", base_model(contest, settings).folder),
            ("candidate", checkpoint),
        )
    ]
    try:
        for engine in engines:
            engine.wait()
        tasks = accuracy.find_tasks(contest, folder / "tasks")
        for benchmark in contest.benchmarks:
            _evaluate(engines[1], benchmark, contest, tasks)
        pool = prompts.load(contest, random.Random())
        for shape in contest.speed.shapes:
            for _ in range(WARM_UP + ROUNDS):
                work = pool.draw(shape.requests, shape.input_tokens)
                for engine in engines:
                    engine.signal(signal.SIGCONT)
                    engine.complete(work, shape)
                    engine.signal(signal.SIGSTOP)
            for engine in engines:
                engine.signal(signal.SIGCONT)
    finally:
        for engine in engines:
            engine.signal(signal.SIGKILL)
            engine.process.wait()


class _Engine:
    """Run ``vllm serve`` as usual: a TCP port and no sandbox, with the grade's flags and environment."""

    def __init__(self, model: Path, folder: Path, contest: Contest, settings: Settings) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        for private in ("home", "tmp"):
            (folder / private).mkdir(parents=True)
        notes = settings.cache / "modelinfos"
        if notes.is_dir():  # as a second start on the same machine would have
            shutil.copytree(notes, folder / "home/.cache/vllm/modelinfos")
        arguments = flags.arguments(model, folder / "unused", contest, settings)
        tcp = ["--host=127.0.0.1", f"--port={self.port}"]
        self.process = subprocess.Popen(
            [*settings.engine, *tcp, *(a for a in arguments if not a.startswith("--uds"))],
            env=flags.environment(folder, settings),
            stdout=(folder / "log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.url = f"http://127.0.0.1:{self.port}"

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def wait(self) -> None:
        while self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
        raise RuntimeError("the engine ended")

    def complete(self, work: list[list[int]], shape: SpeedShape) -> None:
        body = {"model": "graded", "max_tokens": shape.output_tokens, "min_tokens": shape.output_tokens,
                "ignore_eos": True, "temperature": 0, "stream": True}  # fmt: skip

        def one(prompt: list[int]) -> None:
            with client.stream(
                "POST", "/v1/completions", json={**body, "prompt": prompt}
            ) as answer:
                for _ in answer.iter_raw():
                    pass

        with (
            httpx.Client(base_url=self.url, timeout=300) as client,
            concurrent.futures.ThreadPoolExecutor(shape.concurrency) as pool,
        ):
            list(pool.map(one, work))


def _evaluate(engine: _Engine, benchmark: Benchmark, contest: Contest, tasks: Any) -> None:
    """Run lm-eval with its own client, as ``lm_eval --model local-completions`` does."""
    import lm_eval

    lm_eval.simple_evaluate(
        model="local-completions",
        model_args={
            "base_url": f"{engine.url}/v1/completions",
            "model": "graded",
            "tokenizer": str(contest.base_folder),
            "tokenizer_backend": "huggingface",
            "num_concurrent": benchmark.concurrency,
            "max_length": contest.engine.max_model_len,
        },
        tasks=list(tasks.load([benchmark.task])["tasks"].values()),
        task_manager=tasks,
        limit=benchmark.limit,
        apply_chat_template=benchmark.apply_chat_template,
        gen_kwargs={"max_gen_toks": benchmark.max_gen_toks, "temperature": 0.0, "do_sample": False},
        bootstrap_iters=0,
    )
