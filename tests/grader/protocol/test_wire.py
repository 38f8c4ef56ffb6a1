"""The worker protocol byte by byte: what older sites and workers read and write, and what is not allowed."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.problems.catalogue import Problem, Stage
from grader.protocol import worker as protocol
from grader.protocol.bounds import require_plausible
from grader.protocol.documents import (
    AAReport,
    HubFile,
    HubSource,
    Progress,
    Report,
    StageTime,
)
from grader.protocol.worker import AAJob, Ending, GradeJob, Introduction
from grader.schema import SchemaError, encode
from grader.scoring import score
from grader.scoring.score import ScoreError
from tests.factories_pure import demo, report

GRADE = GradeJob(
    evaluation=7,
    attempt=2,
    submission=5,
    contest="demo",
    contest_sha256="0" * 64,
    archive_url="/api/worker/attempts/7/2/archive",
    archive_name="model.zip",
    archive_sha256="1" * 64,
    archive_bytes=99,
    lease_s=90.0,
    heartbeat_s=15.0,
)
# As release 0.1 wrote it: its workers know only these keys.
GRADE_JSON = {
    "evaluation": 7, "attempt": 2, "submission": 5, "contest": "demo", "contest_sha256": "0" * 64,
    "archive_url": "/api/worker/attempts/7/2/archive", "archive_name": "model.zip",
    "archive_sha256": "1" * 64, "archive_bytes": 99, "lease_s": 90.0, "heartbeat_s": 15.0,
    "kind": "grade", "hub": None,
}  # fmt: skip
AA_JSON = {
    "evaluation": 3, "attempt": 1, "submission": 0, "contest": "demo", "contest_sha256": "0" * 64,
    "archive_url": "", "archive_name": "", "archive_sha256": "", "archive_bytes": 0,
    "lease_s": 90.0, "heartbeat_s": 15.0, "kind": "aa", "hub": None,
}  # fmt: skip
INTRODUCTION_JSON = {
    "worker": "gpu-1", "device": "cuda", "sandbox": "namespace", "contests": {"demo": "0" * 64},
    "versions": {"vllm": "0.32.0"}, "device_name": "NVIDIA L4", "memory_bytes": 24 * 2**30,
    "compute_capability": 8.9, "boot": "f00d",
}  # fmt: skip


def body(document: object) -> bytes:
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("job", "document"),
    [
        (GRADE, GRADE_JSON),
        (
            dataclasses.replace(GRADE, hub=HubSource("a/b", "main", "c", (HubFile("x", 1),))),
            GRADE_JSON
            | {
                "hub": {
                    "repo": "a/b",
                    "revision": "main",
                    "commit": "c",
                    "files": [{"name": "x", "size_bytes": 1, "digest": ""}],
                }
            },
        ),
        (AAJob(3, "demo", "0" * 64, 90.0, 15.0), AA_JSON),
    ],
)
def test_a_job_keeps_the_keys_that_an_older_worker_reads(job, document):
    assert protocol.encode_job(job) == document
    assert protocol.decode_job(json.loads(json.dumps(document))) == job


def test_a_job_of_the_first_release_has_neither_kind_nor_hub():
    first = {key: value for key, value in GRADE_JSON.items() if key not in ("kind", "hub")}
    assert protocol.decode_job(first) == GRADE


def test_an_introduction_is_what_it_was_and_may_say_more_or_less():
    said = protocol.read(Introduction, body(INTRODUCTION_JSON))
    assert encode(said) == INTRODUCTION_JSON
    assert said.gpu_count == 1
    two = protocol.read(Introduction, body(INTRODUCTION_JSON | {"gpu_count": 2}))
    assert encode(two)["gpu_count"] == 2
    assert protocol.read(Introduction, body(INTRODUCTION_JSON | {"later": [1]})) == said
    least = {"worker": "w", "device": "cpu", "contests": {}}
    assert protocol.read(Introduction, body(least)) == Introduction("w", "cpu", {})


def test_progress_and_endings_are_what_they_were():
    assert encode(Progress(Stage.SPEED, 3, 20, "latency")) == {
        "stage": "speed", "done": 3, "total": 20, "note": "latency",
    }  # fmt: skip
    ending = {
        "problems": [{"code": "SYS_NOISY", "where": "w", "detail": "d"}], "log": "the end",
    }  # fmt: skip
    assert encode(Ending.of([Problem("SYS_NOISY", "w", "d")], "the end")) == ending
    assert encode(protocol.read(Ending, body(ending))) == ending
    bare = protocol.read(Ending, body({"problems": [{"code": "SYS_NOISY"}]}))
    assert bare == Ending((Problem("SYS_NOISY"),))


def test_a_report_keeps_its_keys():
    document = encode(report())
    assert list(document) == [
        "contest", "contest_sha256", "checkpoint", "quality", "memory", "speed", "system", "stages", "notices",
        "samples", "checks", "version",
    ]  # fmt: skip
    assert list(document["quality"][0]) == [
        "benchmark", "value", "stderr", "base_value", "base_stderr", "items", "mean_output_chars",
        "base_mean_output_chars", "duration_s",
    ]  # fmt: skip
    assert list(document["quality"][0]["items"][0]) == [
        "doc_id", "doc_hash", "prompt_hash", "value", "base_value",
    ]  # fmt: skip
    assert list(document["speed"][0]) == [
        "shape", "output_tokens", "rounds", "candidate", "base", "void",
    ]  # fmt: skip
    assert protocol.read(Report, body(document)) == report()
    test = AAReport("demo", "0" * 64, report().speed, report().system)
    assert list(encode(test)) == ["contest", "contest_sha256", "speed", "system", "stages"]
    assert protocol.read(AAReport, body(encode(test))) == test


def test_addresses_are_what_they_were():
    assert protocol.PREFIX + protocol.CLAIM == "/api/worker/claim"
    assert GRADE.url("progress") == "/api/worker/attempts/7/2/progress"
    assert AAJob(3, "demo", "", 1, 1).url("fail") == "/api/worker/aa/3/fail"
    assert protocol.NO_WORK_HEADER == "X-No-Work"


def test_an_ending_can_always_be_sent():
    ending = Ending.of([Problem("SYS_INTERNAL", "a\0b", "\ud800")], "x" * 20_000 + "\udcff")
    assert ending.problems == (Problem("SYS_INTERNAL", "a�b", "�"),)
    assert len(ending.log) == protocol.LOG_CHARS
    assert ending.log.endswith("x�")
    sent = json.dumps(encode(ending), ensure_ascii=False).encode()
    assert protocol.read(Ending, sent) == ending


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"note": "\xff"}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested too deeply"),
        (b'{"stage": "speed", "note": "\\u0000"}', "note: a text holds NUL"),
        (b'{"stage": "speed", "note": "\\ud800"}', "note: a text holds NUL or half a surrogate"),
        (b'{"\\u0000": 1}', "document: a text holds NUL"),
        (b'{"stage": "speed", "done": NaN}', "done: must be a finite number"),
        (b'{"stage": "speed", "done": 1e999}', "done: must be a finite number"),
        (b'{"stage": "speed", "done": ' + b"9" * 400 + b"}", "done: an integer of more than 64"),
        (b'{"stage": "speed", "done": ' + b"9" * 9000 + b"}", "not JSON: Exceeds the limit"),
        (b'{"stage": "speed", "done": -1}', "done: is not between"),
        (b'{"stage": "speed", "total": 10000000000000}', "total: is not between"),
        (b'{"stage": "speed", "note": "' + b"x" * 1001 + b'"}', "note: more than 1,000 characters"),
        (b'{"stage": "speed", "note": "' + b"x" * 70_000 + b'"}', "note: a text of more than"),
        (b'{"' + b"k" * 300 + b'": 1}', "a text of more than 200"),
        (b" " * (protocol.MESSAGE_BYTES + 1), "more than 2,097,152 bytes"),
        (b'{"stage": []}', "stage: expected one of"),
        (b'"speed"', "expected a table"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_its_place(sent, message):
    with pytest.raises(SchemaError, match=message):
        protocol.read(Progress, sent)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"memory_bytes": -1}, "memory_bytes"),
        ({"memory_bytes": 2**63}, "memory_bytes"),
        ({"compute_capability": -0.1}, "compute_capability"),
        ({"compute_capability": 1001}, "compute_capability"),
        ({"gpu_count": -1}, "gpu_count"),
        ({"gpu_count": 1001}, "gpu_count"),
        ({"contests": {str(n): "" for n in range(1001)}}, "contests"),
        ({"versions": {str(n): "" for n in range(101)}}, "versions"),
        ({"versions": {"vllm": 1}}, "versions.vllm"),
        ({"device": None}, "device"),
    ],
)
def test_what_a_worker_may_say_of_itself_is_bounded(change, place):
    with pytest.raises(SchemaError) as refusal:
        protocol.read(Introduction, body(INTRODUCTION_JSON | change))
    assert refusal.value.where == place


def test_an_ending_names_known_problems():
    with pytest.raises(SchemaError, match="problems: at least one"):
        protocol.read(Ending, body({"problems": []}))
    with pytest.raises(SchemaError, match=r"problems\[1\]\.code: unknown code MADE_UP"):
        protocol.read(Ending, body({"problems": [{"code": "SYS_NOISY"}, {"code": "MADE_UP"}]}))


def spoil(document: Any, path: str, value: object) -> None:
    """Set the value at a path such as ``speed.0.rounds.0.base_s``."""
    *parents, last = path.split(".")
    for key in parents:
        document = document[int(key) if isinstance(document, list) else key]
    document[int(last) if isinstance(document, list) else last] = value


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("version", 2, "version"),
        ("speed.0.rounds.0.base_s", 0, "speed[0].rounds[0].base_s"),
        ("speed.0.rounds.0.base_s", -1, "speed[0].rounds[0].base_s"),
        ("speed.0.rounds.0.base_s", 1e9, "speed[0].rounds[0].base_s"),
        ("speed.0.rounds.0.candidate_s", 1e-5, "speed[0].rounds[0]"),
        ("speed.0.rounds", [], "speed[0].rounds"),
        ("speed.0.output_tokens", 0, "speed[0].output_tokens"),
        ("speed.0.candidate.mean_ttft_ms", -1, "speed[0].candidate.mean_ttft_ms"),
        ("speed.0.base.output_tokens_per_s", 1e12, "speed[0].base.output_tokens_per_s"),
        ("speed.0.candidate.p99_tpot_ms", 0.5, "speed[0].candidate.p99_tpot_ms"),
        ("speed.0.candidate.mean_e2el_ms", 0.5, "speed[0].candidate.mean_e2el_ms"),
        ("speed.1.shape", "latency", "speed[1]"),
        ("quality.1.benchmark", "gsm8k", "quality[1]"),
        ("quality.0.items", [], "quality[0].items"),
        ("quality.0.items.3.doc_id", 2, "quality[0].items[3].doc_id"),
        ("quality.0.items.0.doc_id", -1, "quality[0].items[0].doc_id"),
        ("quality.0.items.0.value", 1.5, "quality[0].items[0]"),
        ("quality.0.items.0.base_value", -0.5, "quality[0].items[0]"),
        ("quality.0.items.0.doc_hash", "", "quality[0].items[0].doc_hash"),
        ("quality.0.value", 0.9, "quality[0].value"),
        ("quality.0.stderr", 2, "quality[0].stderr"),
        ("quality.0.mean_output_chars", -1, "quality[0].mean_output_chars"),
        ("memory.checkpoint_bytes", 0, "memory.checkpoint_bytes"),
        ("memory.checkpoint_bytes", 499, "memory.checkpoint_bytes"),
        ("memory.base_bytes", 0, "memory.base_bytes"),
        ("memory.base_bytes", -(2**62), "memory.base_bytes"),
        ("memory.loaded_bytes", -1, "memory.loaded_bytes"),
        ("checkpoint.content_sha256", "", "checkpoint.content_sha256"),
        ("checkpoint.safetensors_bytes", -500, "checkpoint.safetensors_bytes"),
        ("system.cpu_count", 0, "system.cpu_count"),
        ("notices", [{"code": "MADE_UP"}], "notices[0].code"),
        (
            "checks",
            [{"code": "MADE_UP", "where": "", "measured": 1, "limit": 1, "flagged": False}],
            "checks[0].code",
        ),
        ("stages", [{"stage": "speed", "duration_s": -1}], "stages[0].duration_s"),
        ("stages", [{"stage": "load", "duration_s": 1}] * 2, "stages[1]"),
        ("stages", [{"stage": "speed", "duration_s": 1}], "speed"),
        ("stages", [{"stage": "quality", "duration_s": 0}], None),
    ],
)
def test_what_no_measurement_can_be_is_refused_with_its_place(path, value, place):
    document = encode(report())
    spoil(document, path, value)
    if place is None:
        assert protocol.read(Report, body(document))
        return
    with pytest.raises(SchemaError) as refusal:
        protocol.read(Report, body(document))
    assert refusal.value.where == place


def test_benchmarks_cannot_take_longer_than_their_stage():
    found = report()
    slow = dataclasses.replace(found.quality[0], duration_s=50.0)
    stages = (StageTime(Stage.QUALITY, 40.0),)
    found = dataclasses.replace(found, quality=(slow, found.quality[1]), stages=stages)
    with pytest.raises(SchemaError, match=r"quality: its parts took 50\.0 s, the whole stage 40"):
        require_plausible(found)


def places(document: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Yield every place in a document that could contain something else."""
    found = [where] if where else []
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items if isinstance(document, dict | list) else ():
        if isinstance(key, str) or key < 2:  # the third item of a list adds nothing
            found += (
                places(value, (*where, key)) if isinstance(value, dict | list) else [(*where, key)]
            )
    return found


SMALL = encode(report(pairs=[(1, 1), (0, 1), (1, 0), (1, 1)] * 3))
HOSTILE = st.one_of(
    st.sampled_from(
        [None, True, 0, -1, 1, 2**31, 2**63, 10**400, 0.0, -0.5, 1e-300, 1e300, math.nan, math.inf,
         "", "\0", "\ud800", "x" * 70_000, [], {}, [[]], {"a": {}}]
    ),
    st.integers(), st.floats(), st.text(max_size=20),
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(places(SMALL)), HOSTILE), min_size=1, max_size=3))
def test_any_spoilt_report_is_refused_or_gives_a_score_that_can_be_stored(changes):
    document = json.loads(json.dumps(SMALL))
    for path, value in changes:
        # an earlier change may have removed it
        with contextlib.suppress(LookupError, TypeError, ValueError):
            spoil(document, ".".join(map(str, path)), copy.deepcopy(value))
    try:
        found = protocol.read(Report, body(document))
        public, private = score.by_part(found, demo())
    except (SchemaError, ScoreError) as refusal:
        str(refusal).encode()
        return
    protocol.require_sendable(found)
    for result in (public, private):
        assert 0 <= result.value <= score.MAX_ACCURACY
        assert math.isfinite(result.half_width)
        assert all(math.isfinite(term.value + term.half_width) for term in result.terms)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_name(sent):
    for message in (Introduction, Progress, Ending, Report, AAReport):
        with pytest.raises(SchemaError):
            protocol.read(message, sent)
