"""The tables of a contest file, one class each."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args

from grader.contest.bounds import share
from grader.protocol.documents import Pairing
from grader.schema import LATER, SchemaError
from grader.text import Text


@dataclass(frozen=True, slots=True)
class BaseModel:
    """The uncompressed model everything is measured against.

    Attributes:
        id: Hub repo id or any other name; for people.
        architecture: the only allowed ``architectures`` entry.
        folder: organizer's files (config, tokenizer, chat template, generation config, weights where the
            license allows), relative to the contest file. A worker can point elsewhere: ``GRADER_BASE_MODELS``.
        safetensors_bytes: size of its weights; the denominator of the memory term.
        revision: Hub commit; empty if the weights are in ``folder``.
    """

    id: str
    architecture: str
    folder: str
    safetensors_bytes: int
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a team may submit. Days are counted in ``Contest.timezone``.

    Attributes:
        upload_grace_s: how long an upload that began before a phase ended may take to finish.
        merge_until: teams may merge before this time; None: until the end.
        final_entries: how many entries a team may choose for the final.
    """

    archive_bytes: int
    unpacked_bytes: int
    submissions_per_day: int
    rejections_per_day: int = 10
    team_size: int = 5
    max_files: int = 2000
    upload_grace_s: float = 600.0
    final_entries: int = 2
    merge_until: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("submissions_per_day", "rejections_per_day", "team_size", "final_entries"):
            if getattr(self, name) < 1:
                raise SchemaError(name, "must be at least 1")
        if self.upload_grace_s < 0:
            raise SchemaError("upload_grace_s", "must not be negative")


@dataclass(frozen=True, slots=True)
class CheckpointRules:
    """What a checkpoint may contain.

    Attributes:
        config_may_differ: top-level ``config.json`` keys that may differ from the base model's.
        config_ignored: keys that are allowed but never used, and dropped on rebuild with a notice.
        quant_methods: allowed ``quantization_config.quant_method`` values.
        tokenizer: what to do if the tokenizer, chat template or generation config differs from the
            organizer's, which is always used.
        kv_cache_scheme: what to do with a KV-cache quantization request; the cache dtype is always pinned.
    """

    config_may_differ: tuple[str, ...]
    config_ignored: tuple[str, ...] = ()
    quant_methods: tuple[str, ...] = ("compressed-tensors",)
    tokenizer: Literal["ignore", "refuse"] = "ignore"
    kv_cache_scheme: Literal["ignore", "refuse"] = "refuse"


MAX_TENSOR_PARALLEL = 64
MAX_MEASUREMENTS = 10  # of one checkpoint
SandboxLevel = Literal["none", "process", "network", "namespace"]
SANDBOX_LEVELS: tuple[str, ...] = get_args(SandboxLevel)  # weakest first


@dataclass(frozen=True, slots=True)
class Hardware:
    """The machine the contest promises, and which workers may grade it.

    Preflight hints refer to this GPU, not the worker's. The site offers a contest's work only to workers that
    match ``devices``, ``gpus`` and ``sandbox``.

    Attributes:
        compute_capability: that of the promised GPU; 0: a CPU.
        devices: device kinds that may grade; empty: any.
        gpus: parts of device names that may grade (``L4`` matches ``NVIDIA L4``), as whole words; empty: any.
        sandbox: minimum isolation level of a worker.
    """

    name: str
    compute_capability: float = 0.0
    memory_bytes: int = 0
    devices: tuple[Literal["cpu", "cuda"], ...] = ()
    gpus: tuple[str, ...] = ()
    sandbox: SandboxLevel = "process"


@dataclass(frozen=True, slots=True)
class Engine:
    """vLLM flags set by the contest. The worker's settings add those for its device.

    Attributes:
        tensor_parallel: the number of GPUs per engine; workers with fewer get no work.
    """

    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    max_model_len: int = 2048
    max_num_seqs: int = 64
    max_num_batched_tokens: int = 8192
    gpu_memory_utilization: float = 0.85
    seed: int = 0
    startup_timeout_s: float = 900.0
    tensor_parallel: int = field(default=1, metadata=LATER)

    def __post_init__(self) -> None:
        if not 1 <= self.tensor_parallel <= MAX_TENSOR_PARALLEL:
            raise SchemaError("tensor_parallel", f"must be between 1 and {MAX_TENSOR_PARALLEL}")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One lm-eval task and the metric that counts.

    Attributes:
        task: lm-eval task name; the contest's own tasks are in ``Contest.tasks``.
        metric: lm-eval's key, ``metric,filter``, e.g. ``exact_match,flexible-extract``.
        weight: share of the accuracy term; the weights of all benchmarks sum to 1.
        limit: use only the first N questions; 0 means all.
        concurrency: requests in flight.
        dataset, revision: the pinned Hub data set that ``prefetch`` downloads; empty for local files.
        public_share: share of questions that the public board shows, chosen by a salted hash.
        exclude_docs: ``doc_id`` of broken questions, which are measured but not counted.
        twin_of: id of the benchmark whose fresh twin this is: questions of the same kind that nobody outside
            has seen. It is wholly private.
    """

    id: str
    title: Text
    task: str
    metric: str
    weight: float
    num_fewshot: int = 0
    fewshot_as_multiturn: bool = False
    apply_chat_template: bool = True
    enable_thinking: bool = False
    limit: int = 0
    max_gen_toks: int = 256
    concurrency: int = 16
    dataset: str = ""
    revision: str = ""
    public_share: float = 0.5
    exclude_docs: tuple[int, ...] = ()
    twin_of: str = field(default="", metadata=LATER)

    def __post_init__(self) -> None:
        share("weight", self.weight)
        share("public_share", self.public_share)
        if self.twin_of and self.public_share:
            raise SchemaError("public_share", f"must be 0 for a twin, found {self.public_share:g}")
        if self.metric.count(",") != 1:
            raise SchemaError("metric", "must be lm-eval's key: metric,filter (exact_match,none)")


@dataclass(frozen=True, slots=True)
class SpeedShape:
    """One load shape: ``requests`` requests of exactly ``input_tokens`` in and ``output_tokens`` out."""

    id: str
    title: Text
    concurrency: int
    input_tokens: int
    output_tokens: int
    requests: int
    weight: float

    def __post_init__(self) -> None:
        share("weight", self.weight)
        for name in ("concurrency", "input_tokens", "output_tokens", "requests"):
            if getattr(self, name) < 1:
                raise SchemaError(name, "must be at least 1")


@dataclass(frozen=True, slots=True)
class SpeedTest:
    """The paired speed protocol: base and candidate do the same fixed work, one right after the other.

    Attributes:
        pairing: ``side_by_side``: both are loaded and each round is a pair. ``turns``: only one is loaded at a
            time, and a round is a pair of blocks, each an engine of its own that is warmed up and measured.
        block_rounds: with ``turns``: how often the work is done in a block, for each shape.
        prompts: JSONL of ``{"text": …}``, private, never a benchmark's question; relative to the contest file.
        min_rounds, max_rounds: measured rounds; more are run until ``aim_half_width`` is reached.
        max_half_width: limit on the 95 % interval of the log ratio; exceeding it after ``max_rounds`` is a
            system fault.
        aim_half_width: the target within ``max_rounds``; 0: ``max_half_width``.
        warmup_rounds: minimum; continues until two in a row differ by less than ``warmup_tolerance``.
    """

    prompts: str
    shapes: tuple[SpeedShape, ...]
    min_rounds: int = 10
    max_rounds: int = 20
    max_half_width: float = 0.015
    aim_half_width: float = 0.0
    warmup_rounds: int = 3
    max_warmup_rounds: int = 10
    warmup_tolerance: float = 0.02
    pairing: Pairing = field(default="side_by_side", metadata=LATER)
    block_rounds: int = field(default=5, metadata=LATER)

    def __post_init__(self) -> None:
        if self.block_rounds < 1:
            raise SchemaError("block_rounds", "must be at least 1")
        if self.pairing == "turns":
            for name in ("min_rounds", "max_rounds"):
                rounds = getattr(self, name)
                if rounds < 2 or rounds % 2:
                    message = (
                        f"must be even and at least 2 where engines take turns, found {rounds}"
                    )
                    raise SchemaError(name, message)

    @property
    def aim(self) -> float:
        return self.aim_half_width or self.max_half_width


@dataclass(frozen=True, slots=True)
class AA:
    """The A/A test of a worker: the base model against itself, by the contest's own speed protocol.

    Attributes:
        every_hours: how often each worker is tested, in addition to each restart; 0: only on demand.
        ratio_tolerance: how far from 1 the interval of the ratio may be.
        base_time_tolerance: how far the base model's time may be from this worker's usual time.
        usual_days: the usual time is the median over the tests passed in this many days.
    """

    every_hours: float = 24.0
    ratio_tolerance: float = 0.01
    base_time_tolerance: float = 0.03
    usual_days: float = 7.0

    def __post_init__(self) -> None:
        for name in ("every_hours", "ratio_tolerance", "base_time_tolerance", "usual_days"):
            if getattr(self, name) < 0:
                raise SchemaError(name, "must not be negative")


@dataclass(frozen=True, slots=True)
class Compliance:
    """Thresholds above which organizers are asked to look. None of them changes a score.

    Attributes:
        length_band: relative difference of the mean answer length to the base model's (MLPerf TEST09).
        speed_prompts: questions of the accuracy run repeated under speed test conditions (TEST01); 0: none.
        speed_agreement: minimum share of those with the same answer and the correct count (TEST06).
        repeat_speedup: how much faster a repeated prompt may be (TEST04).
        weight_cosine: minimum similarity of weights to the base model's.
        gap, gap_p: gain on public over private questions, and its one-sided p-value.
        canary_prompts, canary_p: private questions asked by number only (0: none), and the one-sided p-value
            for answering more of them than the base model.
        repeat_p: two-sided p-value of two grades of one checkpoint.
        likelihood_questions: of a benchmark and of its twin, how many right answers are compared; 0: none.
        learned_z: a benchmark that is this many standard errors easier than its twin was learned.
    """

    length_band: float = 0.1
    speed_prompts: int = 16
    speed_agreement: float = 0.9
    repeat_speedup: float = 0.1
    weight_cosine: float = 0.8
    gap: float = 0.03
    gap_p: float = 0.01
    canary_prompts: int = 20
    canary_p: float = 0.01
    repeat_p: float = 0.01
    likelihood_questions: int = field(default=100, metadata=LATER)
    learned_z: float = field(default=4.0, metadata=LATER)

    def __post_init__(self) -> None:
        for name in ("speed_agreement", "weight_cosine", "gap_p", "canary_p", "repeat_p"):
            share(name, getattr(self, name))
        for name in ("likelihood_questions", "learned_z"):
            if getattr(self, name) < 0:
                raise SchemaError(name, "must not be negative")


@dataclass(frozen=True, slots=True)
class Formula:
    """Weights of the terms: score = max(0, accuracy·a + memory·m + speed·s). They sum to 1."""

    title: Text
    accuracy: float
    memory: float
    speed: float

    def __post_init__(self) -> None:
        for name in ("accuracy", "memory", "speed"):
            share(name, getattr(self, name))
        total = self.accuracy + self.memory + self.speed
        if not math.isclose(total, 1.0, abs_tol=1e-9):
            raise SchemaError("", f"weights must sum to 1, found {total:g}")


@dataclass(frozen=True, slots=True)
class Scoring:
    """The contest's formulas and the one currently used for ranking, and which measurements rank a team.

    Attributes:
        accuracy_cap: largest accuracy that counts, relative to the base model's. ``base``: 1 and what the base
            model's own interval allows; ``none``: no limit.
        hold_hours: how long after its grade a first place, or an entry with a flag, is marked as under review,
            unless staff look at it earlier; 0: never.
        counts: which of a team's entries ranks it: its best, its last, or the best that it chose for the final.
        repeats: ``pooled``: a checkpoint that a team enters again adds to the measurement it has.
        confirm: the first so many places are measured again, without being asked; 0: none.
        confirm_measurements: how many measurements of one checkpoint are pooled.
    """

    formula: str
    formulas: dict[str, Formula]
    accuracy_cap: Literal["base", "none"] | float = field(default="base", metadata=LATER)
    hold_hours: float = field(default=24.0, metadata=LATER)
    counts: Literal["best", "last", "chosen"] = field(default="best", metadata=LATER)
    repeats: Literal["separate", "pooled"] = field(default="separate", metadata=LATER)
    confirm: int = field(default=0, metadata=LATER)
    confirm_measurements: int = field(default=3, metadata=LATER)

    def __post_init__(self) -> None:
        if isinstance(self.accuracy_cap, float) and self.accuracy_cap < 1:
            raise SchemaError("accuracy_cap", "must be at least 1, the base model's accuracy")
        if not 0 <= self.hold_hours <= 24 * 365:
            raise SchemaError("hold_hours", "must be between 0 and a year")
        if self.confirm < 0:
            raise SchemaError("confirm", "must not be negative")
        if not 1 <= self.confirm_measurements <= MAX_MEASUREMENTS:
            raise SchemaError("confirm_measurements", f"must be between 1 and {MAX_MEASUREMENTS}")
        if self.confirm and self.repeats != "pooled":
            raise SchemaError("confirm", 'needs repeats = "pooled"')
        if self.formula not in self.formulas:
            raise SchemaError("formula", f"no formula named {self.formula!r}")


@dataclass(frozen=True, slots=True)
class Phase:
    """A dated window. Phases share the formula: a board always uses one version of the rules.

    Attributes:
        freeze: from this time the public board does not change until staff thaw it.
        select_until: until this time teams can choose their entries for the final.
    """

    id: str
    title: Text
    start: datetime
    end: datetime
    freeze: datetime | None = None
    select_until: datetime | None = None

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise SchemaError("end", "must be after start")
        if self.freeze and not self.start < self.freeze <= self.end:
            raise SchemaError("freeze", "must be between start and end")
        if self.select_until and self.select_until <= self.start:
            raise SchemaError("select_until", "must be after start")


@dataclass(frozen=True, slots=True)
class Reference:
    """A baseline the organizers publish alongside the teams: a recipe of the ``baseline`` CLI."""

    recipe: str
    title: Text
    options: dict[str, str] = field(default_factory=dict)
