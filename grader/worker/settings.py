"""Everything an operator can set on a worker: environment variables, read once and checked at startup."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from grader.assets.copies import DEFAULT_CACHE
from grader.assets.hub import DEFAULT_ENDPOINT

Device = Literal["auto", "cpu", "cuda"]
LogFormat = Literal["line", "json"]
SandboxChoice = Literal["auto", "namespace", "network", "process", "none"]

DEFAULT_ENGINE = (sys.executable, "-m", "vllm.entrypoints.openai.api_server")
DEFAULT_SCRATCH = Path("~/.cache/paretoboard/scratch").expanduser()
DEFAULT_REDIS = "redis://127.0.0.1:6379/0"
_GIB = 1024**3


class SettingsError(ValueError):
    """An environment variable has an invalid value; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One worker's settings. Each description starts with the variable's name.

    Attributes:
        site_url: ``GRADER_SITE_URL``, URL of the site whose submissions are graded.
        token: ``GRADER_TOKEN``, this worker's bearer token. Never reaches an engine.
        name: ``GRADER_NAME``, the worker's name on the site; defaults to the host name.
        device: ``GRADER_DEVICE``, ``cpu`` or ``cuda``; ``auto`` takes CUDA where an NVIDIA device exists.
        scratch: ``GRADER_SCRATCH``, where attempts are unpacked and run; cleaned at each start.
        cache: ``GRADER_CACHE``, base model results and data sets kept between attempts.
        contests: ``GRADER_CONTESTS``, more folders with contests, separated like ``PATH``.
        base_models: ``GRADER_BASE_MODELS``, folder with base models' weights, ``<id with / as -->``;
            defaults to ``base_models`` in the cache. If a model is missing, the contest's own folder is used.
        sandbox: ``GRADER_SANDBOX``, the isolation of engines; ``auto`` selects the strongest that works here.
        engine: ``GRADER_ENGINE``, command that starts the engine, split as in a shell.
        enforce_eager: ``GRADER_ENFORCE_EAGER``, no compilation; on a CPU this saves minutes per start.
        kv_cache_bytes: ``GRADER_KV_CACHE_BYTES``, KV cache per engine; 0 uses the contest's memory utilization
            on a GPU, and 1 GiB on a CPU, where the utilization would claim a share of main memory.
        cpu_threads: ``GRADER_CPU_THREADS``, compute threads per engine on a CPU; 0: one per core, minus one
            core.
        memory_bytes: ``GRADER_MEMORY_BYTES``, resident memory at which an engine is killed; 0: no limit.
        base_engine_grades: ``GRADER_BASE_ENGINE_GRADES``, grades that one start of the base model's engine
            serves before it is started anew; 0: a new one for each grade.
        base_engine_idle_s: ``GRADER_BASE_ENGINE_IDLE_S``, how long it waits for the next grade before it is
            ended and its memory is free.
        fetch_ahead: ``GRADER_FETCH_AHEAD``, whether the next entry is fetched and checked during a grade.
        hub_endpoint: ``HF_ENDPOINT``, the Hub, or a mirror, that entries are downloaded from.
        hub_token: ``HF_TOKEN``, sent only to that host. Never reaches an engine.
        redis_url: ``REDIS_URL``, the doorbell's broker; only Celery reads it.
        quality_timeout_s: ``GRADER_QUALITY_TIMEOUT_S``, for one benchmark on one engine.
        speed_timeout_s: ``GRADER_SPEED_TIMEOUT_S``, for one shape.
        silence_s: ``GRADER_SILENCE_S``, an engine that sends nothing for this long is considered hung.
        http_timeout_s: ``GRADER_HTTP_TIMEOUT_S``, for one request to the site.
        fetch_timeout_s: ``GRADER_FETCH_TIMEOUT_S``, for all files of one entry from the Hub.
        log_format: ``GRADER_LOG_FORMAT``, ``line`` for people or ``json`` for machines.
    """

    site_url: str = ""
    token: str = field(default="", repr=False)
    name: str = field(default_factory=socket.gethostname)
    device: Literal["cpu", "cuda"] = "cpu"
    scratch: Path = DEFAULT_SCRATCH
    cache: Path = DEFAULT_CACHE
    contests: tuple[Path, ...] = ()
    base_models: Path | None = None
    sandbox: SandboxChoice = "auto"
    engine: tuple[str, ...] = DEFAULT_ENGINE
    enforce_eager: bool = True
    kv_cache_bytes: int = _GIB
    cpu_threads: int = 0
    memory_bytes: int = 0
    base_engine_grades: int = 20
    base_engine_idle_s: float = 600.0
    fetch_ahead: bool = True
    hub_endpoint: str = DEFAULT_ENDPOINT
    hub_token: str = field(default="", repr=False)
    redis_url: str = DEFAULT_REDIS
    quality_timeout_s: float = 3600.0
    speed_timeout_s: float = 2400.0
    silence_s: float = 300.0
    http_timeout_s: float = 30.0
    fetch_timeout_s: float = 3600.0
    log_format: LogFormat = "line"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the variables. Unset or empty ones keep their defaults.

        Raises:
            SettingsError: an invalid number, an unknown choice, a command that does not parse.
        """
        read = _Reader(os.environ if environ is None else environ)
        device = _device(read.choice("GRADER_DEVICE", Device, "auto"))
        on_cpu = device == "cpu"
        base_models = read.text("GRADER_BASE_MODELS")
        return cls(
            site_url=read.text("GRADER_SITE_URL").rstrip("/"),
            token=read.word("GRADER_TOKEN"),
            name=read.text("GRADER_NAME") or socket.gethostname(),
            device=device,
            scratch=read.path("GRADER_SCRATCH", DEFAULT_SCRATCH),
            cache=read.path("GRADER_CACHE", DEFAULT_CACHE),
            contests=read.paths("GRADER_CONTESTS"),
            base_models=Path(base_models).expanduser() if base_models else None,
            sandbox=cast(SandboxChoice, read.choice("GRADER_SANDBOX", SandboxChoice, "auto")),
            engine=read.command("GRADER_ENGINE", DEFAULT_ENGINE),
            enforce_eager=read.flag("GRADER_ENFORCE_EAGER", on_cpu),
            kv_cache_bytes=int(read.number("GRADER_KV_CACHE_BYTES", _GIB if on_cpu else 0)),
            cpu_threads=int(read.number("GRADER_CPU_THREADS", 0)),
            memory_bytes=int(read.number("GRADER_MEMORY_BYTES", 0)),
            base_engine_grades=int(read.number("GRADER_BASE_ENGINE_GRADES", 20)),
            base_engine_idle_s=read.number("GRADER_BASE_ENGINE_IDLE_S", 600.0),
            fetch_ahead=read.flag("GRADER_FETCH_AHEAD", True),
            hub_endpoint=read.text("HF_ENDPOINT").rstrip("/") or DEFAULT_ENDPOINT,
            hub_token=read.word("HF_TOKEN"),
            redis_url=read.text("REDIS_URL") or DEFAULT_REDIS,
            quality_timeout_s=read.number("GRADER_QUALITY_TIMEOUT_S", 3600.0),
            speed_timeout_s=read.number("GRADER_SPEED_TIMEOUT_S", 2400.0),
            silence_s=read.number("GRADER_SILENCE_S", 300.0),
            http_timeout_s=read.number("GRADER_HTTP_TIMEOUT_S", 30.0),
            fetch_timeout_s=read.number("GRADER_FETCH_TIMEOUT_S", 3600.0),
            log_format=cast(LogFormat, read.choice("GRADER_LOG_FORMAT", LogFormat, "line")),
        )


def _device(choice: str) -> Literal["cpu", "cuda"]:
    if choice == "auto":
        return "cuda" if Path("/dev/nvidiactl").exists() else "cpu"
    return cast(Literal["cpu", "cuda"], choice)


@dataclass(frozen=True, slots=True)
class _Reader:
    environ: Mapping[str, str]

    def text(self, name: str) -> str:
        return self.environ.get(name, "").strip()

    def word(self, name: str) -> str:
        """Check a token, which becomes a header and may therefore contain only printable ASCII."""
        value = self.text(name)
        if not (value.isascii() and value.isprintable()) or " " in value:
            raise SettingsError(
                f"{name} is not a token: it is one word of plain letters and digits"
            )
        return value

    def path(self, name: str, default: Path) -> Path:
        return Path(self.text(name)).expanduser().absolute() if self.text(name) else default

    def paths(self, name: str) -> tuple[Path, ...]:
        parts = self.text(name).split(os.pathsep)
        return tuple(Path(part).expanduser().absolute() for part in parts if part)

    def choice(self, name: str, kind: object, default: str) -> str:
        value = self.text(name) or default
        if value not in get_args(kind):
            raise SettingsError(f"{name} must be one of {', '.join(get_args(kind))}, not {value!r}")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self.text(name).lower()
        if value in ("", "1", "true", "yes", "on", "0", "false", "no", "off"):
            return value in ("1", "true", "yes", "on") if value else default
        raise SettingsError(f"{name} must be true or false, not {value!r}")

    def number(self, name: str, default: float) -> float:
        try:
            value = float(self.text(name) or default)
        except ValueError:
            raise SettingsError(f"{name} must be a number, not {self.text(name)!r}") from None
        if not 0 <= value < float("inf"):
            raise SettingsError(f"{name} must be a finite number of at least 0")
        return value

    def command(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(shlex.split(self.text(name))) or default
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
