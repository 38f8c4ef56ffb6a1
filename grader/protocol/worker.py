"""The worker protocol for both sides: messages, paths and limits.

A worker claims a :data:`Job`, reports its ``Progress`` and ends it with one message: a report, or an
:class:`Ending` sent to ``reject`` or ``fail``. On the wire a job still has the keys of 0.1, where an A/A test
was a grade of nothing, so site and workers may run different releases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar

from grader.problems.catalogue import CATALOGUE, Problem
from grader.protocol import bounds, wire
from grader.protocol.documents import AAReport, HubSource, Report
from grader.schema import LATER, SchemaError, decode, encode

T = TypeVar("T")

PREFIX = "/api/worker"
CLAIM = "/claim"
NEXT = "/next"
NEXT_ARCHIVE = "/next/{submission}/archive"
ATTEMPT = "/attempts/{evaluation}/{attempt}"
AA_RUN = "/aa/{run}"
Verb = Literal["progress", "report", "reject", "fail", "archive"]

NO_WORK_HEADER = "X-No-Work"  # header of a 204 answer to a claim: why there is no job, in words
NO_WORK_CHARS = 500
DRAINED = "drained: "  # how the reason begins for a worker that an operator has drained
LOG_CHARS = 16_000  # from the end of an engine's log
MESSAGE_BYTES = 2 << 20
REPORT_BYTES = 16 << 20
MAX_QUESTIONS = 65_000  # of all benchmarks of a contest: that many fit into a report

# How much the site keeps of what a worker says about itself; the rest is cut off.
DEVICE_CHARS = 20
DEVICE_NAME_CHARS = 120
SANDBOX_CHARS = 20
BOOT_CHARS = 40
MAX_CONTESTS = 1000
MAX_VERSIONS = 100
TEXT_CHARS = 100  # a contest's id or digest, the name or version of a package
MAX_COMPUTE_CAPABILITY = 1000
MAX_GPUS = 1000


@dataclass(frozen=True, slots=True)
class Introduction:
    """How a worker describes itself when it asks for work.

    Attributes:
        worker: its name, for people; the token identifies it.
        device: ``cpu`` or ``cuda``; ``device_name`` is that of the GPU, or of the CPU if there is none.
        contests: contest id → sha256 of the contest files it has.
        versions: versions of the packages that affect a result.
        memory_bytes, compute_capability: those of the computing device, or of the smallest of several GPUs;
            0 if unknown or a CPU.
        gpu_count: GPUs it may use; a worker that does not report this has one.
        boot: changes each time the worker's process is started.
    """

    worker: str
    device: str
    contests: dict[str, str]
    sandbox: str = "none"
    versions: dict[str, str] = field(default_factory=dict)
    device_name: str = ""
    memory_bytes: int = 0
    compute_capability: float = 0.0
    boot: str = ""
    gpu_count: int = field(default=1, metadata=LATER)

    def __post_init__(self) -> None:
        if len(self.contests) > MAX_CONTESTS:
            raise SchemaError("contests", f"more than {MAX_CONTESTS:,}")
        if len(self.versions) > MAX_VERSIONS:
            raise SchemaError("versions", f"more than {MAX_VERSIONS:,}")
        for name, found in (("contests", self.contests), ("versions", self.versions)):
            if any(len(text) > TEXT_CHARS for pair in found.items() for text in pair):
                raise SchemaError(name, f"longer than {TEXT_CHARS} characters")
        if not 0 <= self.memory_bytes < 2**63:
            raise SchemaError("memory_bytes", "is not between 0 and 2^63")
        if not 0 <= self.compute_capability <= MAX_COMPUTE_CAPABILITY:
            message = f"is not between 0 and {MAX_COMPUTE_CAPABILITY:,}"
            raise SchemaError("compute_capability", message)
        if not 0 <= self.gpu_count <= MAX_GPUS:
            raise SchemaError("gpu_count", f"is not between 0 and {MAX_GPUS:,}")


@dataclass(frozen=True, slots=True)
class GradeJob:
    """One attempt at grading one submission.

    Attributes:
        evaluation: id that ``progress``, ``report``, ``reject`` and ``fail`` are addressed to.
        attempt: fencing token; the site refuses any message with an older number.
        submission: id of the immutable submission, for people and logs.
        contest: contest id; the worker has its own copy of the contest's folder.
        contest_sha256: digest of the contest file; a worker whose copy differs must not grade.
        archive_url: path on the site for downloading the archive with the worker's token.
        archive_name: sanitized file name, for messages only.
        archive_sha256, archive_bytes: what the download must match.
        hub: files to download from the Hub instead of an archive.
        split_salt: of the contest, if its file has none; says which questions are private.
        lease_s: the attempt is lost if the site hears nothing for this long.
        heartbeat_s: the longest time between two reports, with or without news.
    """

    evaluation: int
    attempt: int
    submission: int
    contest: str
    contest_sha256: str
    archive_url: str
    archive_name: str
    archive_sha256: str
    archive_bytes: int
    lease_s: float
    heartbeat_s: float
    kind: Literal["grade"] = "grade"
    hub: HubSource | None = None
    split_salt: str = ""

    def url(self, verb: Verb) -> str:
        return attempt_url(self.evaluation, self.attempt, verb)

    @property
    def log_ids(self) -> dict[str, int]:
        """The ids in log records about this job."""
        return {
            "submission": self.submission,
            "evaluation": self.evaluation,
            "attempt": self.attempt,
        }


@dataclass(frozen=True, slots=True)
class AAJob:
    """One A/A test of the worker that claimed it; attributes are those of :class:`GradeJob`.

    Attributes:
        run: the test's number.
    """

    run: int
    contest: str
    contest_sha256: str
    lease_s: float
    heartbeat_s: float

    def url(self, verb: Verb) -> str:
        return f"{PREFIX}{AA_RUN.format(run=self.run)}/{verb}"

    @property
    def log_ids(self) -> dict[str, int]:
        return {"aa": self.run}


Job = GradeJob | AAJob


@dataclass(frozen=True, slots=True)
class NextEntry:
    """What a worker that is grading will probably be given next. Nothing is promised, and no lease begins.

    Attributes are those of :class:`GradeJob`; the archive is at ``archive_url`` until the entry is claimed.
    """

    submission: int
    contest: str
    contest_sha256: str
    archive_url: str
    archive_sha256: str
    archive_bytes: int
    hub: HubSource | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a job ended without a report: its problems, and the end of the engine's log."""

    problems: tuple[Problem, ...]
    log: str = ""

    def __post_init__(self) -> None:
        if not self.problems:
            raise SchemaError("problems", "at least one is needed")
        for i, problem in enumerate(self.problems):
            if problem.code not in CATALOGUE:
                raise SchemaError(f"problems[{i}].code", f"unknown code {problem.code}")

    @classmethod
    def of(cls, problems: Sequence[Problem], log: str) -> Ending:
        """Build an ending that can always be sent, whatever a log or file name contains."""
        sendable = (
            Problem(p.code, wire.storable(p.where), wire.storable(p.detail)) for p in problems
        )
        return cls(tuple(sendable), wire.storable(log[-LOG_CHARS:]))


def attempt_url(evaluation: int, attempt: int, verb: Verb) -> str:
    return f"{PREFIX}{ATTEMPT.format(evaluation=evaluation, attempt=attempt)}/{verb}"


def next_archive_url(submission: int) -> str:
    return PREFIX + NEXT_ARCHIVE.format(submission=submission)


def limit_bytes(message: type) -> int:
    """Return the maximum length of a message of this kind."""
    return REPORT_BYTES if message in (Report, AAReport) else MESSAGE_BYTES


def read(message: type[T], body: bytes) -> T:
    """Decode and check a worker's message.

    Raises:
        SchemaError: it is not such a message, or its content is impossible; with the location.
    """
    document = wire.parse(body, limit_bytes(message))
    if message is Introduction and isinstance(document, dict):
        # A worker of a later release may send more fields about itself.
        known = {one.name for one in fields(Introduction)}
        document = {key: value for key, value in document.items() if key in known}
    found = decode(message, document)
    if isinstance(found, Report | AAReport):
        bounds.require_plausible(found)
    return found


def require_sendable(report: Report | AAReport) -> None:
    """Check that the site would accept this.

    Raises:
        SchemaError: the site would refuse it; with the location.
    """
    bounds.require_plausible(report)
    wire.require_storable(encode(report))


def encode_job(job: Job) -> dict[str, Any]:
    if isinstance(job, GradeJob):
        document = dict(encode(job))
        if not job.split_salt:
            del document["split_salt"]  # which workers of 0.1 do not know
        return document
    return {
        "evaluation": job.run,
        "attempt": 1,
        "submission": 0,
        "contest": job.contest,
        "contest_sha256": job.contest_sha256,
        "archive_url": "",
        "archive_name": "",
        "archive_sha256": "",
        "archive_bytes": 0,
        "lease_s": job.lease_s,
        "heartbeat_s": job.heartbeat_s,
        "kind": "aa",
        "hub": None,
    }


def decode_job(document: object) -> Job:
    """Decode a job.

    Raises:
        SchemaError: it is neither a grade nor a test.
    """
    if not isinstance(document, dict) or document.get("kind") != "aa":
        return decode(GradeJob, document)
    wanted = {one.name for one in fields(AAJob)}
    renamed = {("run" if key == "evaluation" else key): value for key, value in document.items()}
    return decode(AAJob, {key: value for key, value in renamed.items() if key in wanted})
