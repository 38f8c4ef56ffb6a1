"""Accuracy: the contest's benchmarks, with candidate and base model paired by question."""

from __future__ import annotations

import math
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from grader.contest import Benchmark, Contest
from grader.problems.catalogue import Stage
from grader.protocol.documents import Item, Progress, QualityResult
from grader.worker.engine.server import FAR_SLOWER, Engine
from grader.worker.faults import Stopped, failed
from grader.worker.measure import base_runs, lm_eval_client, offline_datasets, system
from grader.worker.measure.base_runs import Answer, Run
from grader.worker.measure.recorder import Recorder
from grader.worker.settings import Settings

ProgressCallback = Callable[[Progress], None]


def measure(
    base: Engine,
    candidate: Engine,
    folder: Path,
    progress: ProgressCallback,
    recorder: Recorder | None = None,
) -> tuple[QualityResult, ...]:
    """Run every benchmark of the contest. The base model's run is stored and reused by later attempts.

    ``folder`` belongs to the attempt and receives the task files. ``recorder`` sees the candidate's run.

    Raises:
        Rejected, Failed: an engine crashed, hangs, is too slow or computes NaN; a data set is missing.
    """
    tasks = find_tasks(candidate.contest, folder / "tasks")
    versions = system.versions()
    runs, results = [], []
    for benchmark in candidate.contest.benchmarks:
        try:
            runs.append(run(candidate, benchmark, tasks, progress, recorder))
        except TimeoutError as error:
            raise too_slow(candidate, base, benchmark, tasks, progress) from error
    # The base model only now: where the engines take turns, each loads once.
    for benchmark, own in zip(candidate.contest.benchmarks, runs, strict=True):
        stored = base_runs.path(base, benchmark, versions)
        reference = base_runs.read(stored)
        # Equal hashes prove equal questions and prompts. Otherwise the base model is measured again.
        if reference is None or reference.questions != own.questions:
            reference = run(base, benchmark, tasks, progress)
            base_runs.write(stored, reference)
        results.append(pair(benchmark, own, reference))
    return tuple(results)


def find_tasks(contest: Contest, target: Path) -> Any:
    """Return lm-eval's task index: its packaged tasks, and a copy in ``target`` of the contest's own.

    The packaged ones, thousands of files that take seconds to read, only where the contest has need of them.

    The copy has its placeholders filled in: ``${LM_EVAL_TASKS}`` becomes the folder of lm-eval's packaged
    tasks, and ``${CONTEST_DIR}`` the contest's folder.
    """
    from lm_eval import tasks

    if not contest.tasks:
        return tasks.TaskManager()
    packaged = str(Path(tasks.__file__).parent)
    shutil.copytree(contest.folder / contest.tasks, target)
    for file in target.rglob("*.yaml"):
        text = file.read_text("utf-8").replace("${LM_EVAL_TASKS}", packaged)
        file.write_text(text.replace("${CONTEST_DIR}", str(contest.folder)), "utf-8")
    own = tasks.TaskManager(include_path=str(target), include_defaults=False)
    if {benchmark.task for benchmark in contest.benchmarks} <= set(own.all_tasks):
        return own
    return tasks.TaskManager(include_path=str(target))


def run(
    engine: Engine,
    benchmark: Benchmark,
    tasks: Any,
    progress: ProgressCallback,
    recorder: Recorder | None = None,
) -> Run:
    """Run one benchmark on one engine and turn every failure into its fault.

    Raises:
        TimeoutError: the candidate took too long; see :func:`too_slow`.
        Rejected, Failed: all other failures.
    """
    role, settings = engine.model.role, engine.settings
    note = benchmark.id if role == "candidate" else f"{benchmark.id} ({role})"

    def answered(done: int, total: int) -> None:
        progress(Progress(Stage.QUALITY, done, total, note))

    answered(0, 0)
    engine.take_turn()
    limit_s = settings.quality_timeout_s
    try:
        return evaluate(engine, benchmark, tasks, answered, recorder)
    except TimeoutError as error:
        if role == "base":
            raise failed("SYS_TIMEOUT", benchmark.id, f"base model: {limit_s:g} s") from error
        raise
    except lm_eval_client.NonFiniteError as error:
        raise engine.refusal("RUN_NONFINITE", benchmark.id) from error
    except (httpx.TransportError, lm_eval_client.AnswerError) as error:
        raise engine.died(error) from error


def too_slow(
    candidate: Engine, base: Engine, benchmark: Benchmark, tasks: Any, progress: ProgressCallback
) -> Stopped:
    """Decide who is at fault for the candidate's timeout: the candidate if the base model is far faster right
    now.
    """
    limit_s = candidate.settings.quality_timeout_s
    fault = candidate.refusal("RUN_TIMEOUT", f"{benchmark.id}: {limit_s:g} s")
    took_s = run(base, benchmark, tasks, progress).duration_s  # the candidate has exited
    if FAR_SLOWER * took_s <= limit_s:
        return fault
    return failed("SYS_TIMEOUT", benchmark.id, f"{limit_s:g} s, base model {took_s:.0f} s")


def evaluate(
    engine: Engine,
    benchmark: Benchmark,
    tasks: Any,
    answered: Callable[[int, int], None],
    recorder: Recorder | None = None,
) -> Run:
    """Let lm-eval build the prompts, ask, and score each question."""

    def transport(limits: httpx.Limits) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport(uds=str(engine.uds), limits=limits)

    contest, settings = engine.contest, engine.settings
    return ask(transport, contest, settings, benchmark, tasks, answered, recorder)


def ask(
    transport: lm_eval_client.Transport,
    contest: Contest,
    settings: Settings,
    benchmark: Benchmark,
    tasks: Any,
    answered: Callable[[int, int], None],
    recorder: Recorder | None = None,
) -> Run:
    """The same, whatever listens at the other end of ``transport``."""
    import lm_eval

    model = lm_eval_client.make_model(
        transport,
        contest,
        benchmark,
        settings.silence_s,
        settings.quality_timeout_s,
        answered,
        recorder,
    )
    started = time.monotonic()
    try:
        offline_datasets.require_nltk(contest, benchmark)
        with offline_datasets.in_place(contest, settings.cache):
            loaded = tasks.load([benchmark.task])
    except Exception as error:  # lm-eval and datasets raise all kinds of exceptions
        detail = f"{type(error).__name__}: {error}"[:400]
        raise failed("SYS_DATASET", benchmark.id, detail) from error
    results = lm_eval.simple_evaluate(
        model=model,
        tasks=list(loaded["tasks"].values()),
        task_manager=tasks,
        num_fewshot=benchmark.num_fewshot,
        limit=benchmark.limit or None,
        apply_chat_template=benchmark.apply_chat_template,
        fewshot_as_multiturn=benchmark.fewshot_as_multiturn,
        gen_kwargs={"max_gen_toks": benchmark.max_gen_toks, "temperature": 0.0, "do_sample": False},
        log_samples=True,
        bootstrap_iters=0,
        random_seed=0,
        numpy_random_seed=lm_eval_client.SEED,
        torch_random_seed=lm_eval_client.SEED,
        fewshot_random_seed=lm_eval_client.SEED,
    )
    if recorder is not None:
        recorder.record_benchmark(contest, benchmark, results["samples"], model)
    answers = read_samples(results["samples"], benchmark.metric)
    return Run(answers, time.monotonic() - started)


def read_samples(samples: dict[str, list[dict[str, Any]]], metric: str) -> tuple[Answer, ...]:
    """Return answers in a fixed order. A group of tasks becomes one list with continuous numbering."""
    name, filter_name = metric.split(",")
    answers: list[Answer] = []
    for _, logged in sorted(samples.items()):
        chosen = [sample for sample in logged if sample["filter"] == filter_name]
        first = len(answers) if len(samples) > 1 else 0
        for sample in sorted(chosen, key=lambda sample: int(sample["doc_id"])):
            if name not in sample:
                known = ", ".join(sorted(sample["metrics"]))
                raise failed(
                    "SYS_DATASET", metric, f"the task does not have this metric; it has {known}"
                )
            texts = [text for request in sample["resps"] for text in request]
            answers.append(
                Answer(
                    doc_id=first + int(sample["doc_id"]),
                    doc_hash=str(sample["doc_hash"]),
                    prompt_hash=str(sample["prompt_hash"]),
                    value=float(sample[name]),
                    output_chars=sum(len(text) for text in texts if isinstance(text, str)),
                )
            )
    if not answers:
        raise failed("SYS_DATASET", metric, "the task has no questions with this filter")
    return tuple(answers)


def pair(benchmark: Benchmark, own: Run, base: Run) -> QualityResult:
    """Combine both runs into one result. They must cover the same questions in the same order."""
    if own.questions != base.questions:
        raise failed(
            "SYS_RESULT_INVALID", benchmark.id, "base model and candidate got different prompts"
        )
    items = tuple(
        Item(a.doc_id, a.doc_hash, a.prompt_hash, a.value, b.value)
        for a, b in zip(own.answers, base.answers, strict=True)
    )
    value, stderr = _mean_and_error([item.value for item in items])
    base_value, base_stderr = _mean_and_error([item.base_value for item in items])
    return QualityResult(
        benchmark=benchmark.id,
        value=value,
        stderr=stderr,
        base_value=base_value,
        base_stderr=base_stderr,
        items=items,
        mean_output_chars=statistics.fmean(a.output_chars for a in own.answers),
        base_mean_output_chars=statistics.fmean(b.output_chars for b in base.answers),
        duration_s=own.duration_s,
    )


def _mean_and_error(values: list[float]) -> tuple[float, float]:
    mean = statistics.fmean(values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return mean, spread / math.sqrt(len(values))
