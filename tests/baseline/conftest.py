"""A checkpoint without torch, a contest site on a loopback port, and the environment with llmcompressor."""

from __future__ import annotations

import base64
import json
import os
import struct
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from baseline import cli
from baseline.checkpoint.contests import rules
from baseline.compression import recipe
from grader.contest import Contest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent

CONFIG = {
    "architectures": ["Exaone4ForCausalLM"],
    "hidden_size": 192,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 3,
    "num_key_value_heads": 1,
    "head_dim": 64,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
    "layer_types": ["full_attention"] * 4,
}


@pytest.fixture(autouse=True)
def _may_ask_the_hub(monkeypatch):
    """A grade in the same process has put it offline permanently (``lm_eval_client.prepare_process``)."""
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests neither read nor write the developer's configuration."""
    for name in ("BASELINE_SITE", "BASELINE_TOKEN", "BASELINE_CONTEST", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("baseline.remote.credentials._keyring", lambda: None)


@pytest.fixture
def config() -> dict[str, Any]:
    return json.loads(json.dumps(CONFIG))


def write_safetensors(path: Path, tensors: dict[str, tuple[str, list[int], bytes]]) -> None:
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(content)],
        }
        data += content
    raw = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw + data)


@pytest.fixture
def checkpoint(tmp_path: Path, config: dict[str, Any]) -> Path:
    """A folder that can be packed and inspected, although no engine would load it."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    write_safetensors(
        folder / "model.safetensors",
        {
            "model.embed_tokens.weight": ("BF16", [4, 2], bytes(16)),
            "model.layers.0.mlp.up_proj.weight": ("I8", [4, 4], bytes(16)),
            "model.layers.0.mlp.up_proj.weight_scale": ("BF16", [4, 1], bytes(8)),
        },
    )
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """``run("package", …)`` -> (exit code, stdout, stderr), in this process."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


class FakeSite(ThreadingHTTPServer):
    """Answers from ``answers[(method, path)]``: one (status, body), or a list used in order, keeping the last
    one.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[tuple[str, str], Any] = {}
        self.requests: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FakeSite

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.requests.append(
            {"method": self.command, "path": self.path, "headers": self.headers, "body": body}
        )
        missing = (404, {"code": "NOT_FOUND", "message": "No such page.", "hint": ""})
        answer = self.server.answers.get((self.command, self.path), missing)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        extra: dict[str, str] = {}
        if callable(answer):  # a stateful server: (status, body, headers) of a request
            status, content, extra = answer(self.server.requests[-1])
        else:
            status, content = answer
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(raw)))
        if status in (301, 302):
            self.send_header("location", "https://elsewhere.example")
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    do_GET = _answer
    do_POST = _answer
    do_HEAD = _answer
    do_PATCH = _answer

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[FakeSite]:
    with FakeSite() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("baseline.commands.status.POLL_S", 0.0)
    monkeypatch.setattr("baseline.remote.client.BACKOFF_S", 0.0)
    monkeypatch.setattr("baseline.remote.tus.FIRST_PAUSE_S", 0.0)


class FakeUploads:
    """tus as far as the CLI uses it. ``stumble`` has answers that come first, by method."""

    ADDRESS = "/api/uploads/k1"

    def __init__(self, site: FakeSite, created: tuple[int, Any]) -> None:
        self.received = bytearray()
        self.facts: dict[str, str] = {}
        self.creations = 0
        self.stumble: dict[str, list[int]] = {}
        site.answers["POST", "/api/uploads/"] = self._create
        site.answers["HEAD", self.ADDRESS] = self._head
        site.answers["PATCH", self.ADDRESS] = self._patch
        site.answers["POST", f"{self.ADDRESS}/submission"] = created

    def _create(self, request: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        self.creations += 1
        pairs = (pair.split(" ") for pair in request["headers"]["upload-metadata"].split(","))
        self.facts = {key: base64.b64decode(value).decode() for key, value in pairs}
        return 201, b"", {"location": f"http://proxied.example{self.ADDRESS}"}

    def _head(self, _request: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if codes := self.stumble.get("HEAD"):
            return codes.pop(0), b"", {}
        return 200, b"", {"upload-offset": str(len(self.received))}

    def _patch(self, request: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        if codes := self.stumble.get("PATCH"):
            return codes.pop(0), b"<html>proxy</html>", {}
        assert int(request["headers"]["upload-offset"]) == len(self.received)
        self.received += request["body"]
        return 204, b"", {"upload-offset": str(len(self.received))}


class CompressEnvironment:
    """The Python of the other environment, which has llmcompressor."""

    def __init__(self) -> None:
        default = ROOT / ".venv-compress" / "bin" / "python"
        self.python = Path(os.environ.get("COMPRESS_PYTHON", default))
        # One thread: the tiny model's operations are too small to split, and the machine may be busy.
        self.environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        }

    def __call__(
        self, *arguments: object, check: bool = True, stdin: str = "", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.python), *map(str, arguments)], input=stdin,
            env=self.environment | environment, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr[-3000:]
        return done


@pytest.fixture(scope="session")
def compress_python() -> CompressEnvironment:
    environment = CompressEnvironment()
    if not environment.python.exists():
        pytest.skip(f"no compress environment at {environment.python}")
    return environment


@dataclass(frozen=True)
class Compressed:
    """What one ``baseline compress --json`` printed and wrote."""

    folder: Path
    code: int
    document: dict[str, Any]
    err: str


@pytest.fixture(scope="session")
def demo() -> Contest:
    return rules("demo")


@pytest.fixture(scope="session")
def compressed(
    compress_python: CompressEnvironment, demo: Contest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Compressed]:
    """Run every recipe on the demo's base model with the real llmcompressor, all in one process."""
    root = tmp_path_factory.mktemp("compressed")
    commands = {name: compress_command(name, demo, root / name) for name in recipe.names()}
    lines = "".join(json.dumps(arguments) + "\n" for arguments in commands.values())
    (root / "results").mkdir()
    compress_python(HERE / "compress_all.py", root / "results", stdin=lines)
    found = {}
    for number, name in enumerate(commands):
        result = json.loads((root / "results" / f"{number}.json").read_text("utf-8"))
        assert result["code"] == 0, (name, result["err"], result["out"])
        found[name] = Compressed(
            root / name, result["code"], json.loads(result["out"]), result["err"]
        )
    return found


def compress_command(name: str, demo: Contest, output: Path, *options: object) -> list[str]:
    """Small enough for a test: 8 of the contest's own conversations, of at most 64 tokens."""
    arguments = ("compress", "--recipe", name, "--model", demo.base_folder, "--output", output,
                 "--samples", 8, "--seq-length", 64, "--contest", "demo", "--json", *options)  # fmt: skip
    return [str(argument) for argument in arguments]
