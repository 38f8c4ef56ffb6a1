"""Rows and documents for tests, created as the production code creates them.

Everything goes through the site's own functions (``contests``, ``accounts``, ``lifecycle``), so the database
holds what it would in production. All arguments are keywords with defaults; names that must be unique are
numbered.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import F

from grader import contest as rules
from grader.problems.catalogue import Problem, Stage
from grader.protocol.documents import (
    CheckpointFacts,
    Item,
    MemoryResult,
    Progress,
    QualityResult,
    Report,
    Round,
    ServingMetrics,
    SpeedResult,
    StageTime,
    System,
    Tensor,
)
from leaderboard import lifecycle, teams, uploads
from leaderboard.models import (
    Contest,
    ContestVersion,
    Evaluation,
    Ruling,
    Submission,
    Team,
    Transition,
    Worker,
)

SPLIT_SALT = (
    "demo-2026"  # one that does not change, so that the same questions are public in every run
)
PASSWORD = "correct horse battery staple"
_number = itertools.count(1)

# A small EXAONE-4, like the demo contest's base model.
HIDDEN, HEADS, KV_HEADS, HEAD_DIM, FFN, VOCABULARY = 256, 8, 4, 32, 704, 4096
LAYERS = 8


def contest(
    *, slug: str = "demo", formula: str = "", is_open: bool = True, base: str = "demo"
) -> Contest:
    """The bundled contest ``base`` under any slug, optionally with another formula in force."""
    path = rules.find(base)
    source = path.read_text("utf-8").replace(f'id = "{base}"', f'id = "{slug}"', 1)
    if formula:
        source = re.sub(r'^formula = "\w+"$', f'formula = "{formula}"', source, count=1, flags=re.M)
    rules.parse(source, path.parent)
    row, _ = Contest.objects.get_or_create(slug=slug)
    row.version, _ = ContestVersion.objects.get_or_create(
        contest=row,
        sha256=hashlib.sha256(source.encode()).hexdigest(),
        defaults={"source": source, "folder": str(path.parent), "split_salt": SPLIT_SALT},
    )
    row.is_open, row.exact_figures = is_open, True
    row.save()
    return row


def user(*, name: str = "", password: str = PASSWORD, is_staff: bool = False) -> User:
    """An account; staff are superusers, as in a small event."""
    name = name or f"person{next(_number)}"
    create = User.objects.create_superuser if is_staff else User.objects.create_user
    return create(name, f"{name}@example.org", password)


def team(
    *, contest: Contest, name: str = "", captain: User | None = None, members: Sequence[User] = ()
) -> Team:
    """A team with a captain and optionally more members."""
    row = teams.create(
        contest, name or f"Team {next(_number)}", captain or user(name=f"captain{next(_number)}")
    )
    for member in members:
        row.memberships.create(contest=contest, user=member)
    return row


def worker(*, name: str = "gpu-1") -> Worker:
    """A GPU worker; the same one for the same name."""
    found = Worker.objects.filter(name=name).first()
    return found or Worker.issue("pbw", name=name, device="cpu", sandbox="process")[0]


def submission(
    *,
    contest: Contest,
    team: Team | None = None,
    kind: str = Submission.Kind.TEAM,
    title: str = "",
    user: User | None = None,
    note: str = "",
    archive_name: str = "model.zip",
    archive_bytes: int = 0,
    content: bytes = b"PK\x05\x06" + bytes(18),
) -> Evaluation:
    """A submitted archive; returns its queued, unchecked evaluation."""
    if kind == Submission.Kind.TEAM and team is None:
        team = globals()["team"](contest=contest)
    if user is None:
        captain = team.memberships.first() if team else None
        user = captain.user if captain else globals()["user"](is_staff=True)
    row = Submission.objects.create(
        contest=contest,
        kind=kind,
        team=team if kind == Submission.Kind.TEAM else None,
        user=user,
        title=title,
        note=note,
        archive=default_storage.save(f"archives/test-{next(_number)}", ContentFile(content)),
        archive_name=archive_name,
        archive_sha256=hashlib.sha256(content).hexdigest(),
        archive_bytes=archive_bytes or len(content),
    )
    return lifecycle.submit(row, by=str(user))


def entered(
    *, contest: Contest, user: User, content: bytes, name: str = "model.zip", **about: object
) -> Evaluation:
    """An archive sent in one form; every gate of admission applies."""
    return uploads.enter_whole(contest, user, ContentFile(content, name), **about).evaluations.get()


def ruling(kind: str, *, team: Team | None = None, submission: Submission | None = None) -> Ruling:
    """A ruling in force on a team or a submission."""
    subject = team or submission
    assert subject is not None
    return Ruling.objects.create(
        contest=subject.contest,
        kind=kind,
        team=team,
        submission=submission,
        reason="Two accounts, one person",
        by="organiser",
    )


def tensors(*, scheme: str = "bf16", layers: int = LAYERS) -> tuple[Tensor, ...]:
    """The tensors of a small EXAONE-4 in ``bf16``, ``W8A8`` (int8) or ``W4A16 g128`` (packed int4)."""
    found = [
        Tensor("model.embed_tokens.weight", "BF16", (VOCABULARY, HIDDEN), 2 * VOCABULARY * HIDDEN)
    ]

    def linear(name: str, out: int, into: int) -> None:
        if scheme == "bf16":
            found.append(Tensor(f"{name}.weight", "BF16", (out, into), 2 * out * into))
        elif scheme.startswith("W8"):
            found.append(Tensor(f"{name}.weight", "I8", (out, into), out * into))
            found.append(Tensor(f"{name}.weight_scale", "BF16", (out, 1), 2 * out))
        else:
            groups = math.ceil(into / 128)
            found.append(
                Tensor(f"{name}.weight_packed", "I32", (out, into // 8), 4 * out * (into // 8))
            )
            found.append(Tensor(f"{name}.weight_scale", "BF16", (out, groups), 2 * out * groups))

    def norm(name: str, size: int) -> None:
        found.append(Tensor(f"{name}.weight", "BF16", (size,), 2 * size))

    for layer in range(layers):
        prefix = f"model.layers.{layer}"
        linear(f"{prefix}.self_attn.q_proj", HEADS * HEAD_DIM, HIDDEN)
        linear(f"{prefix}.self_attn.k_proj", KV_HEADS * HEAD_DIM, HIDDEN)
        linear(f"{prefix}.self_attn.v_proj", KV_HEADS * HEAD_DIM, HIDDEN)
        linear(f"{prefix}.self_attn.o_proj", HIDDEN, HEADS * HEAD_DIM)
        norm(f"{prefix}.self_attn.q_norm", HEAD_DIM)
        norm(f"{prefix}.self_attn.k_norm", HEAD_DIM)
        for name in ("gate_proj", "up_proj"):
            linear(f"{prefix}.mlp.{name}", FFN, HIDDEN)
        linear(f"{prefix}.mlp.down_proj", HIDDEN, FFN)
        norm(f"{prefix}.post_attention_layernorm", HIDDEN)
        norm(f"{prefix}.post_feedforward_layernorm", HIDDEN)
    norm("model.norm", HIDDEN)
    return tuple(found)


BASE_BYTES = sum(t.size_bytes for t in tensors())


def facts(
    *, scheme: str = "W8A8", layers: int = LAYERS, safetensors_bytes: int = 0, seed: int = 0
) -> CheckpointFacts:
    """Facts that preflight finds in a checkpoint; its size is that of its tensors unless given."""
    found = tensors(scheme=scheme, layers=layers)
    return CheckpointFacts(
        content_sha256=hashlib.sha256(f"{scheme} {layers} {seed}".encode()).hexdigest(),
        safetensors_bytes=safetensors_bytes or sum(t.size_bytes for t in found),
        scheme=scheme,
        tensors=found,
        words={
            "en": f"Exaone4ForCausalLM: {layers} layers, {HIDDEN} wide; {scheme}",
            "ko": f"Exaone4ForCausalLM: {layers}층, 폭 {HIDDEN}; {scheme}",
        },
    )


def report(
    *,
    contest: Contest,
    checkpoint: CheckpointFacts | None = None,
    scheme: str = "W8A8",
    layers: int = LAYERS,
    safetensors_bytes: int = 0,
    base_bytes: int = BASE_BYTES,
    accuracy: float = 0.40,
    base_accuracy: float = 0.42,
    questions: int = 0,
    speedup: float = 1.4,
    rounds: int = 8,
    noise: float = 0.02,
    worker_name: str = "gpu-1",
    notices: Sequence[Problem] = (),
    seed: int = 1,
) -> Report:
    """A complete report for a contest: every benchmark and every speed shape of it, the same for the same seed.

    Args:
        accuracy, base_accuracy: mean per benchmark (the actual one is the nearest count of questions).
        questions: per benchmark; the contest's own limit (or 200) when 0.
        speedup: the true ratio base time / candidate time; each round differs by ``noise``.
    """
    loaded, generator = contest.rules, random.Random(seed)
    checkpoint = checkpoint or facts(
        scheme=scheme, layers=layers, safetensors_bytes=safetensors_bytes, seed=seed
    )
    quality = tuple(
        _quality(b, questions or b.limit or 200, accuracy, base_accuracy, generator)
        for b in loaded.benchmarks
    )
    speed = tuple(_speed(s, speedup, rounds, noise, generator) for s in loaded.speed.shapes)
    return Report(
        contest=loaded.id,
        contest_sha256=loaded.sha256,
        checkpoint=checkpoint,
        quality=quality,
        memory=MemoryResult(checkpoint.safetensors_bytes, base_bytes),
        speed=speed,
        system=System(
            worker=worker_name,
            device="cpu",
            device_name="CPU",
            cpu="AMD EPYC 9354 32-Core Processor",
            cpu_count=16,
            memory_bytes=64 * 1024**3,
            sandbox="process",
            versions={
                "vllm": "0.32.0",
                "lm_eval": "0.4.13",
                "torch": "2.13.0",
                "python": "3.11.14",
            },
            engine_flags=("--max-model-len", "1024", "--max-num-seqs", "32", "--enforce-eager"),
        ),
        stages=(
            StageTime(Stage.FETCH, 1.4),
            StageTime(Stage.LOAD, 38.2),
            StageTime(Stage.QUALITY, 96.5),
            StageTime(Stage.SPEED, 74.1),
        ),
        notices=tuple(notices),
    )


def _quality(
    benchmark: rules.Benchmark, n: int, accuracy: float, base: float, generator: random.Random
) -> QualityResult:
    """Right and wrong answers with the given means; both models answer most questions alike."""
    right, base_right = round(n * accuracy), round(n * base)
    order = generator.sample(range(n), n)
    base_set = set(order[:base_right])
    flips = min(max(1, n // 25), right, base_right, n - base_right)
    keep = order[flips : flips + min(right - flips, base_right - flips)]
    others = [
        i
        for i in order[base_right:] + order[:flips] + order[flips + len(keep) : base_right]
        if i not in keep
    ]
    own_set = set(keep) | set(others[: right - len(keep)])
    items = tuple(
        Item(
            doc_id=i,
            doc_hash=hashlib.sha256(f"{benchmark.id} {i}".encode()).hexdigest(),
            prompt_hash=hashlib.sha256(f"{benchmark.id} {i} prompt".encode()).hexdigest(),
            value=float(i in own_set),
            base_value=float(i in base_set),
        )
        for i in range(n)
    )
    p, q = len(own_set) / n, len(base_set) / n
    chars = 0.0 if benchmark.metric.startswith("acc") else 128.0
    return QualityResult(
        benchmark=benchmark.id,
        value=p,
        stderr=math.sqrt(p * (1 - p) / (n - 1)),
        base_value=q,
        base_stderr=math.sqrt(q * (1 - q) / (n - 1)),
        items=items,
        mean_output_chars=chars and chars + generator.uniform(-8, 8),
        base_mean_output_chars=chars,
        duration_s=round(generator.uniform(10, 30), 1),
    )


def _speed(
    shape: rules.SpeedShape, speedup: float, rounds: int, noise: float, generator: random.Random
) -> SpeedResult:
    base_s = 0.011 * shape.output_tokens * math.ceil(shape.requests / shape.concurrency)
    measured, firsts = [], [True, False, False, True] * math.ceil(rounds / 4)
    for first in firsts[:rounds]:
        weather = generator.gauss(1, noise)  # both halves of a round share the host's state
        measured.append(
            Round(
                base_first=first,
                candidate_s=base_s / speedup * weather * generator.gauss(1, noise / 2),
                base_s=base_s * weather * generator.gauss(1, noise / 2),
            )
        )
    tokens = shape.requests * shape.output_tokens

    def metrics(total_s: float) -> ServingMetrics:
        tpot = 1000 * total_s / rounds / shape.output_tokens
        return ServingMetrics(
            mean_ttft_ms=5.1 * tpot,
            median_ttft_ms=4.9 * tpot,
            p99_ttft_ms=8.2 * tpot,
            mean_tpot_ms=tpot,
            median_tpot_ms=0.98 * tpot,
            p99_tpot_ms=1.4 * tpot,
            mean_itl_ms=tpot,
            output_tokens_per_s=tokens * rounds / total_s,
            median_itl_ms=0.97 * tpot,
            p99_itl_ms=1.6 * tpot,
            mean_e2el_ms=(shape.output_tokens + 4) * tpot,
            median_e2el_ms=(shape.output_tokens + 3.9) * tpot,
            p99_e2el_ms=(shape.output_tokens + 7) * tpot,
        )

    return SpeedResult(
        shape=shape.id,
        output_tokens=tokens,
        rounds=tuple(measured),
        candidate=metrics(sum(r.candidate_s for r in measured)),
        base=metrics(sum(r.base_s for r in measured)),
    )


def checked(*, evaluation: Evaluation, checkpoint: CheckpointFacts | None = None) -> Evaluation:
    """Preflight has passed; the evaluation waits for a worker."""
    assert lifecycle.pass_check(evaluation.pk, checkpoint or facts())
    evaluation.refresh_from_db()
    return evaluation


def running(
    *, evaluation: Evaluation, progress: Progress | None = None, on: Worker | None = None
) -> Evaluation:
    """Claimed by a worker, and optionally further along."""
    if not evaluation.is_checked:
        checked(evaluation=evaluation)
    priority = evaluation.priority
    # Claimed next, even if others are queued.
    Evaluation.objects.filter(pk=evaluation.pk).update(priority=32_000)
    version = evaluation.version
    job = lifecycle.claim(on or worker(), {version.contest_id: version.sha256})
    Evaluation.objects.filter(pk=evaluation.pk).update(priority=priority)
    assert job is not None and job.evaluation == evaluation.pk
    if progress is not None:
        lifecycle.progress(job.evaluation, job.attempt, progress)
    evaluation.refresh_from_db()
    return evaluation


def scored(
    *,
    contest: Contest,
    team: Team | None = None,
    kind: str = Submission.Kind.TEAM,
    title: str = "",
    note: str = "",
    ago: timedelta = timedelta(0),
    measured: Report | None = None,
    **facts_of_report: object,
) -> Evaluation:
    """A submission that was scored. Further arguments go to :func:`report`.

    Args:
        ago: how long ago it was submitted.
    """
    found = measured or report(contest=contest, **facts_of_report)  # type: ignore[arg-type]
    found = replace(found, contest_sha256=contest.version.sha256)
    evaluation = submission(
        contest=contest,
        team=team,
        kind=kind,
        title=title,
        note=note,
        archive_bytes=int(0.93 * found.checkpoint.safetensors_bytes),
    )
    checked(evaluation=evaluation, checkpoint=found.checkpoint)
    running(evaluation=evaluation)
    lifecycle.record(evaluation.pk, evaluation.attempt, found)
    return _entered(evaluation, ago)


def rejected(
    *,
    contest: Contest,
    team: Team | None = None,
    problems: Sequence[Problem] = (Problem("LAYOUT_MISSING_CONFIG", where="config.json"),),
    stage: Stage = Stage.CHECK,
    note: str = "",
    ago: timedelta = timedelta(0),
) -> Evaluation:
    """A submission that was rejected by preflight or, at a later stage, by the worker."""
    evaluation = submission(contest=contest, team=team, note=note)
    if stage == Stage.CHECK:
        assert lifecycle.fail_check(evaluation.pk, list(problems))
    else:
        running(evaluation=evaluation, progress=Progress(stage))
        lifecycle.reject(evaluation.pk, evaluation.attempt, list(problems))
    return _entered(evaluation, ago)


def _entered(evaluation: Evaluation, ago: timedelta) -> Evaluation:
    """Move all timestamps of an evaluation into the past."""
    if ago:
        Submission.objects.filter(pk=evaluation.submission_id).update(created=F("created") - ago)
        Transition.objects.filter(evaluation=evaluation).update(created=F("created") - ago)
        Evaluation.objects.filter(pk=evaluation.pk).update(
            created=F("created") - ago, finished=F("finished") - ago
        )
    evaluation.refresh_from_db()
    return evaluation
