"""Nothing uploaded is executed: archives full of code through a whole grade, watched with a marker file and a
port.

Every payload, wherever it is hidden, would create the marker and connect to a port of this machine. Both are
checked after the attempt has ended: downloaded, unpacked, checked, rebuilt and served by the worker's own code.
"""

from __future__ import annotations

import io
import json
import pickle
import shlex
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from grader.protocol.documents import Report
from grader.schema import decode
from grader.worker import intake, run
from grader.worker.clock import Clock
from grader.worker.engine.launch import launch
from grader.worker.faults import Cancellation
from grader.worker.sandbox import box
from grader.worker.settings import Settings
from tests.grader.worker.conftest import make_contest
from tests.grader.worker.sandbox.test_box import ISOLATED, at_levels
from tests.grader.worker.site_stub import SiteStub

CODE = """
import os, socket
os.makedirs({marker!r}, exist_ok=True)
socket.create_connection(("127.0.0.1", {port}), timeout=5).close()
"""
TEMPLATE = (
    "{{% set os = cycler.__init__.__globals__.os %}}{{{{ os.system({command!r}) }}}}"
    "{{{{ messages[0].content }}}}"
)


@dataclass
class Watch:
    """Detects that something was executed."""

    marker: Path
    port: int
    connections: list[tuple[str, int]] = field(default_factory=list)

    @property
    def code(self) -> str:
        return CODE.format(marker=str(self.marker), port=self.port)

    @property
    def command(self) -> str:
        """The same payload for a shell."""
        return shlex.join([sys.executable, "-c", self.code])

    def saw(self) -> list[str]:
        time.sleep(0.2)  # a connection may still arrive
        marks = ["marker"] if self.marker.exists() else []
        return marks + [f"connection {peer}" for peer in self.connections]


@pytest.fixture
def watch(scratch) -> Iterator[Watch]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = Watch(scratch / "executed", server.getsockname()[1])

        def accept() -> None:
            while True:
                try:
                    client, peer = server.accept()
                except OSError:  # closed because the test is over
                    return
                client.close()
                found.connections.append(peer)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield found
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


class Payload:
    """Runs the code when unpickled."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self):
        return exec, (self.code,)


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def good_files() -> dict[str, bytes]:
    base = make_contest().base_folder
    return {name: (base / name).read_bytes() for name in ("config.json", "model.safetensors")}


def config(**changes: object) -> dict[str, bytes]:
    return {"config.json": as_json(json.loads(good_files()["config.json"]) | changes)}


def ignored(watch: Watch) -> dict[str, bytes]:
    """Everything that may be in an archive but is never used, as hostile as possible."""
    code, template = watch.code.encode(), TEMPLATE.format(command=watch.command)
    auto_map = {"AutoTokenizer": ["tokenization_evil.EvilTokenizer", None]}
    tokenizer = {
        "auto_map": auto_map,
        "tokenizer_class": "EvilTokenizer",
        "chat_template": template,
    }
    return {
        "README.md": code,
        "Makefile": f"all:\n\t{watch.command}\n".encode(),
        "setup.cfg": b"[metadata]\nname = evil\n",
        "conftest": code,
        "pytorch_model.bin.txt": pickle.dumps(Payload(watch.code)),
        "chat_template.jinja": template.encode(),
        "tokenizer_config.json": as_json(tokenizer),
        "special_tokens_map.json": as_json({"eos_token": "</s>", "auto_map": auto_map}),
        "tokenizer.model": pickle.dumps(Payload(watch.code)),
        "generation_config.json": as_json({"eos_token_id": [13], "custom_generate": "evil/code"}),
        "__MACOSX/._modeling_evil": code,
        ".git/hooks/post-checkout": f"#!/bin/sh\n{watch.command}\n".encode(),
        ".cache/modeling_evil.py": code,
        **config(_name_or_path="evil/model", eos_token_id=[13, 198], transformers_version="9.9"),
    }


def refused(watch: Watch) -> dict[str, tuple[str, dict[str, bytes]]]:
    """What the checker refuses: the code and the files."""
    code, pickled = watch.code.encode(), pickle.dumps(Payload(watch.code))
    auto_map = {
        "AutoConfig": "modeling_evil.EvilConfig",
        "AutoModelForCausalLM": "modeling_evil.Evil",
    }
    forbidden = "LAYOUT_FORBIDDEN_FILE"
    return {
        "modeling-file": (forbidden, {"modeling_evil.py": code}),
        "modeling-file-and-auto-map": (
            forbidden,
            {"modeling_evil.py": code, **config(auto_map=auto_map)},
        ),
        "auto-map": ("CONFIG_REMOTE_CODE", config(auto_map=auto_map)),
        "auto-map-nested": ("CONFIG_REMOTE_CODE", config(extra={"auto_map": auto_map})),
        "trust-remote-code": ("CONFIG_FORBIDDEN_KEY", config(trust_remote_code=True)),
        "kernel-of-a-hub": (
            "CONFIG_FORBIDDEN_KEY",
            config(_attn_implementation_internal="evil/kernel"),
        ),
        "pickle": (forbidden, {"pytorch_model.bin": pickled}),
        "pickle-of-a-trainer": (forbidden, {"rng_state.pth": pickled}),
        "pickle-as-weights": ("ST_HEADER", {"model.safetensors": pickled}),
        "tokenizer-code": (
            forbidden,
            {
                "tokenization_evil.py": code,
                "tokenizer_config.json": ignored(watch)["tokenizer_config.json"],
            },
        ),
        "start-up-files": (forbidden, {"sitecustomize.py": code, "evil.pth": b"import evil\n"}),
        "library": (forbidden, {"libevil.so": b"\x7fELF" + code}),
        "outside": ("ARCHIVE_PATH", {"../../sitecustomize.py": code}),
    }


REFUSED = list(refused(Watch(Path("/nowhere"), 1)))


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in (good_files() | files).items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def graded(archive: bytes, settings: Settings) -> tuple[str, dict]:
    """Run one attempt like the worker, from the claim to its single final message."""
    stub = SiteStub(archive)
    assert run.run_pending(settings, stub.site()) == 1
    ((verb, body),) = [call for call in stub.calls if call[0] in ("report", "reject", "fail")]
    return verb, body


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(run, "load", lambda _: make_contest())


def test_the_watch_would_see_it(watch):
    """Python, pickle, and a template's shell: each payload works if it is executed."""
    for payload in (
        [sys.executable, "-c", watch.code],
        [
            sys.executable,
            "-c",
            f"import pickle; pickle.loads({pickle.dumps(Payload(watch.code))!r})",
        ],
        ["/bin/sh", "-c", watch.command],
    ):
        subprocess.run(payload, check=True)
        assert watch.saw()[0] == "marker"
        watch.marker.rmdir()
    import jinja2

    unsafe = jinja2.Environment(autoescape=True).from_string(TEMPLATE.format(command=watch.command))
    unsafe.render(messages=[{"content": "x"}])
    assert [what.split()[0] for what in watch.saw()] == ["marker", *["connection"] * 4]


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_check_refuses_never_ran(name, watch, worker):
    code, files = refused(watch)[name]
    verb, body = graded(packed(files), worker())
    assert verb == "reject"
    assert code in [problem["code"] for problem in body["problems"]]
    assert watch.saw() == []


@at_levels("process", *ISOLATED)
def test_what_passes_the_check_is_graded_and_never_ran(level, watch, worker):
    """Without isolation the engine could reach the port, so this shows that nothing ran rather than was
    blocked.
    """
    settings = worker(candidate={"reach": watch.port}, sandbox=level)
    verb, body = graded(packed(ignored(watch)), settings)
    assert verb == "report", body
    report = decode(Report, body)
    notices = {notice.code for notice in report.notices}
    assert {
        "TOKENIZER_DIFFERS",
        "TEMPLATE_DIFFERS",
        "GENCONF_IGNORED",
        "LAYOUT_IGNORED_FILE",
    } <= notices
    assert report.system.sandbox == level
    within = level == "process"
    said = {sample.candidate for sample in report.samples}
    assert said == {f"the machine is {'within reach' if within else 'out of reach'}"}
    # the only connection allowed is the stub's own check from inside
    assert watch.saw() == [f"connection {peer}" for peer in watch.connections]
    assert len(watch.connections) == within


@pytest.mark.vllm
@pytest.mark.timeout(600)
def test_vllm_serves_what_passed_and_nothing_ran(watch, scratch):
    """The real loader with the rebuilt folder, in the strongest sandbox of this machine."""
    contest = make_contest(startup_timeout_s=400)
    (scratch / "archive").write_bytes(packed(ignored(watch)))
    settings = Settings(scratch=scratch / "s", cache=scratch / "cache")
    model, _, _ = intake.prepare(
        scratch / "archive", scratch, contest, Clock(lambda _: None, Cancellation())
    )
    assert {path.name for path in model.folder.iterdir()}.isdisjoint(
        {"README.md", "tokenizer.model"}
    )
    with launch((model,), contest, settings, scratch / "run", box.detect(), Cancellation()) as (
        engine,
    ):
        chat = {
            "model": "graded",
            "messages": [{"role": "user", "content": "1+1?"}],
            "max_tokens": 4,
        }
        answer = engine.ask("/v1/chat/completions", chat, patience_s=120)
        assert answer.status == 200, answer.text
    assert watch.saw() == []
