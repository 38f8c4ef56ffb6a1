"""Documents that site and worker exchange about a job: its source, its progress and its measurements.

A report contains only raw measurements and is stored unchanged; scores can be recomputed from it at any time.
Encode and decode with :mod:`grader.schema`. Times are seconds (``_s``) or milliseconds (``_ms``),
sizes are bytes.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import Literal

from grader.problems.catalogue import Problem, Stage
from grader.schema import LATER, SchemaError

Pairing = Literal["side_by_side", "turns"]
MAX_STEPS = 10**12
NOTE_CHARS = 1000


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a Hub repository.

    Attributes:
        digest: sha256 of a large file (64 digits), git's blob id of any other file (40), or empty.
    """

    name: str
    size_bytes: int
    digest: str = ""


@dataclass(frozen=True, slots=True)
class HubSource:
    """A checkpoint on the Hugging Face Hub. ``commit`` is what ``revision`` resolved to when it was
    submitted."""

    repo: str
    revision: str
    commit: str
    files: tuple[HubFile, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of an attempt: ``done`` of ``total`` steps of ``stage`` (questions, rounds); 0/0:
    unknown."""

    stage: Stage
    done: int = 0
    total: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        for name in ("done", "total"):
            if not 0 <= getattr(self, name) <= MAX_STEPS:
                raise SchemaError(name, f"is not between 0 and {MAX_STEPS:,}")
        if len(self.note) > NOTE_CHARS:
            raise SchemaError("note", f"more than {NOTE_CHARS:,} characters")


@dataclass(frozen=True, slots=True)
class Item:
    """One benchmark question.

    Attributes:
        doc_id: index in the data set; equal across submissions.
        doc_hash, prompt_hash: sha256 from lm-eval; equal prompt hashes mean identical prompts.
        value: the contest's metric for the candidate, usually 0 or 1.
        base_value: the same for the base model on the same question.
    """

    doc_id: int
    doc_hash: str
    prompt_hash: str
    value: float
    base_value: float


@dataclass(frozen=True, slots=True)
class QualityResult:
    """One benchmark: the candidate's and the base model's values, paired by question.

    Attributes:
        benchmark: ``Benchmark.id`` of the contest.
        value, base_value: mean of the metric, 0 to 1.
        stderr, base_stderr: standard error of that mean (sample standard deviation / sqrt n).
        items: per question, in order of ``doc_id``.
        mean_output_chars, base_mean_output_chars: mean length of the generated text; 0 for multiple choice.
        duration_s: wall time of the candidate's run.
    """

    benchmark: str
    value: float
    stderr: float
    base_value: float
    base_stderr: float
    items: tuple[Item, ...]
    mean_output_chars: float = 0.0
    base_mean_output_chars: float = 0.0
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ServingMetrics:
    """One engine over all measured rounds of a shape; names and definitions as in ``vllm bench serve``.

    TTFT: time to the first token, TPOT = (latency - TTFT) / (output tokens - 1), ITL the gap between tokens,
    E2EL the latency: from a request to its last token.
    """

    mean_ttft_ms: float
    median_ttft_ms: float
    p99_ttft_ms: float
    mean_tpot_ms: float
    median_tpot_ms: float
    p99_tpot_ms: float
    mean_itl_ms: float
    output_tokens_per_s: float
    median_itl_ms: float = 0.0
    p99_itl_ms: float = 0.0
    mean_e2el_ms: float = 0.0
    median_e2el_ms: float = 0.0
    p99_e2el_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Round:
    """The same fixed work done once by each engine, one right after the other.

    Attributes:
        base_first: which engine went first (drawn at random, ABBA-balanced).
        candidate_s, base_s: wall time for the whole round.
    """

    base_first: bool
    candidate_s: float
    base_s: float

    @property
    def log_ratio(self) -> float:
        """ln(base_s / candidate_s): positive if the candidate is faster."""
        return math.log(self.base_s / self.candidate_s)


@dataclass(frozen=True, slots=True)
class SpeedBlock:
    """One engine from its start to its end, where the engines take turns.

    Attributes:
        role: ``base`` or ``candidate``.
        startup_s: until it served. All shapes are measured on the same engine.
        warmup_rounds: how many rounds came before those that count.
        rounds_s: wall time of each round that counts.
    """

    role: Literal["base", "candidate"]
    startup_s: float
    warmup_rounds: int
    rounds_s: tuple[float, ...]

    @property
    def round_s(self) -> float:
        """The block's time: the median of its rounds."""
        return statistics.median(self.rounds_s)


@dataclass(frozen=True, slots=True)
class SpeedResult:
    """One load shape (latency, throughput, ...), measured in pairs against the base model.

    Attributes:
        shape: ``SpeedShape.id`` of the contest.
        output_tokens: tokens generated per engine and round; verified for every response.
        rounds: every valid round, in order. Where the engines take turns, a round is a pair of blocks, and its
            times are the blocks' :attr:`SpeedBlock.round_s`.
        void: the reason for each round that did not count.
        pairing: ``SpeedTest.pairing`` of the contest.
        blocks: where the engines take turns, the two of every round, in the order in which they were run.
    """

    shape: str
    output_tokens: int
    rounds: tuple[Round, ...]
    candidate: ServingMetrics
    base: ServingMetrics
    void: tuple[str, ...] = ()
    pairing: Pairing = field(default="side_by_side", metadata=LATER)
    blocks: tuple[SpeedBlock, ...] = field(default=(), metadata=LATER)


@dataclass(frozen=True, slots=True)
class MemoryResult:
    """Sizes in bytes. ``checkpoint_bytes`` is the ranked number: the safetensors files the team supplied.

    ``loaded_bytes`` is the size of the loaded weights as reported by the engine; 0 if it does not report it.
    """

    checkpoint_bytes: int
    base_bytes: int
    loaded_bytes: int = 0
    base_loaded_bytes: int = 0


@dataclass(frozen=True, slots=True)
class GpuState:
    """The GPUs of an engine over the rounds of the speed test, from NVML.

    Attributes:
        memory_bytes: of all of them together.
        power_limit_w, max_sm_clock_mhz: the lowest among them.
        sm_clock_mhz: lowest and highest seen; ``max_sm_clock_mhz`` is the device's maximum.
        temperature_c, power_w: highest seen.
        throttling: all reasons seen for reduced clocks; rounds in which the hardware protected itself were
            void.
    """

    memory_bytes: int
    power_limit_w: float
    max_sm_clock_mhz: int
    sm_clock_mhz: tuple[int, ...]
    temperature_c: int
    power_w: float
    throttling: tuple[str, ...] = ()
    count: int = field(default=1, metadata=LATER)


@dataclass(frozen=True, slots=True)
class System:
    """The machine and the software behind a report. ``governor``: the CPU's frequency governor."""

    worker: str
    device: str  # "cpu" or "cuda"
    device_name: str
    cpu: str
    cpu_count: int
    memory_bytes: int
    driver: str = ""
    sandbox: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    engine_flags: tuple[str, ...] = ()
    governor: str = ""
    gpu: GpuState | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One compliance check, for organizers only. It changes no score.

    Attributes:
        code: key into ``grader.problems.catalogue.CATALOGUE``.
        where: the benchmark concerned, if any.
        measured: None if it could not be measured.
        limit: from the contest's ``[compliance]`` table.
        detail: more figures that need no words.
        words: more figures in a sentence, by language.
    """

    code: str
    where: str
    measured: float | None
    limit: float
    flagged: bool
    detail: str = ""
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely both models find the right answer to one question.

    Attributes:
        doc_id: index in the data set.
        tokens: length of the answer.
        nll, base_nll: negative log-likelihood of the answer per token, natural logarithm.
    """

    doc_id: int
    tokens: int
    nll: float
    base_nll: float


@dataclass(frozen=True, slots=True)
class LikelihoodResult:
    """Some questions of one benchmark, for benchmarks that have a fresh twin and for twins.

    For organizers only. :mod:`grader.scoring.memorization` compares a benchmark with its twin.
    """

    benchmark: str
    items: tuple[Likelihood, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample prompt of the contest and both models' answers: cleaned, cut, and still untrusted."""

    prompt: str
    base: str
    candidate: str


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long one stage of the attempt took."""

    stage: Stage
    duration_s: float


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of the checkpoint, from its header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CheckpointFacts:
    """What the checker learned about the checkpoint without loading it.

    Attributes:
        content_sha256: digest of the canonical folder, independent of the archive; equal for equal checkpoints.
        scheme: quantization in words (``W4A16 g128``, ``FP8 dynamic``, ``bf16``).
        tensors: every tensor.
        words: config and quantization in one sentence, by language (``checkpoint.describe``).
    """

    content_sha256: str
    safetensors_bytes: int
    scheme: str
    tensors: tuple[Tensor, ...] = ()
    words: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything measured in one attempt.

    Attributes:
        version: the version of this format.
        notices: findings that changed nothing but should be shown, such as an ignored tokenizer.
        samples: both models' answers to the contest's sample prompts.
        checks: compliance, for organizers only.
        likelihoods: of right answers, for organizers only; empty if the contest has no twins.
    """

    contest: str
    contest_sha256: str
    checkpoint: CheckpointFacts
    quality: tuple[QualityResult, ...]
    memory: MemoryResult
    speed: tuple[SpeedResult, ...]
    system: System
    stages: tuple[StageTime, ...]
    notices: tuple[Problem, ...] = ()
    samples: tuple[Sample, ...] = ()
    checks: tuple[Check, ...] = ()
    version: int = 1
    likelihoods: tuple[LikelihoodResult, ...] = field(default=(), metadata=LATER)


@dataclass(frozen=True, slots=True)
class AAReport:
    """Everything measured in one A/A test. In ``speed``, the candidate is also the base model."""

    contest: str
    contest_sha256: str
    speed: tuple[SpeedResult, ...]
    system: System
    stages: tuple[StageTime, ...] = ()
