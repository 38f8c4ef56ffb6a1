"""The site, its queue workers with beat, and a GPU worker, on this machine."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
from django.conf import settings

from leaderboard import workers
from leaderboard.local.processes import Processes
from leaderboard.models import Worker


def free_port(wanted: int) -> int:
    """``wanted`` if that port is free, otherwise any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def start_site(processes: Processes, port: int) -> str:
    """Start the web server and the site's workers; returns the site's address once it answers."""
    url = f"http://127.0.0.1:{port}"
    env = {"SITE_URL": url, "DJANGO_SETTINGS_MODULE": "leaderboard.settings"}
    python = [sys.executable, "-m"]
    gunicorn = ["gunicorn", "--config", str(settings.ROOT / "gunicorn.conf.py")]
    gunicorn += ["--bind", f"127.0.0.1:{port}", "--workers", "1"]
    processes.start("site", [*python, *gunicorn, "leaderboard.wsgi"], env)
    start_site_workers(processes, env)
    _wait_until_ready(url, processes)
    (settings.HOME / "site.url").write_text(url)  # how other commands on this machine find the site
    return url


def start_site_workers(processes: Processes, env: dict[str, str]) -> None:
    """Start the Celery worker that checks uploads, and the one that returns lost work and sends notifications,
    with beat.
    """
    _start_queue(processes, env, "check-worker", "checks")
    _start_queue(processes, env, "site-worker", "site", "--beat")


def _start_queue(
    processes: Processes, env: dict[str, str], name: str, queue: str, *beat: str
) -> None:
    celery = [sys.executable, "-m", "celery", "--app", "leaderboard.celery", "worker", *beat]
    celery += ["--queues", queue, "--concurrency", "1", "--loglevel", "INFO"]
    processes.start(name, [*celery, "--hostname", f"{queue}@%h"], env)


def worker_cache() -> Path:
    """Where the GPU worker of this machine keeps base models, data sets and the base model's results."""
    return Path(settings.HOME) / "worker" / "cache"


def start_gpu_worker(
    processes: Processes, url: str, name: str = "worker-1", roots: Sequence[Path] = ()
) -> None:
    """Start a GPU worker with a new token; on a machine without a GPU it runs vLLM on the CPU.

    Args:
        roots: folders with contests, besides those of ``GRADER_CONTESTS``.
    """
    known = Worker.objects.registered().filter(name=name).first()
    token = workers.renew(known, by="stack") if known else workers.register(name, by="stack")[1]
    home = worker_cache().parent
    home.mkdir(parents=True, exist_ok=True)
    env = {
        "GRADER_SITE_URL": url,
        "GRADER_TOKEN": token,
        "GRADER_NAME": name,
        # Engines put Unix sockets there, whose paths may not exceed 107 characters; the path of a clone could.
        "GRADER_SCRATCH": str(processes.folder("pb-")),
        "GRADER_CACHE": str(worker_cache()),
        "GRADER_CONTESTS": os.pathsep.join(
            filter(None, [*map(str, roots), os.environ.get("GRADER_CONTESTS")])
        ),
    }
    celery = ["celery", "--app", "grader.worker.celery", "worker", "--queues", "gpu"]
    celery += ["--concurrency", "1", "--loglevel", "INFO", "--hostname", "gpu@%h"]
    processes.start("gpu-worker", [sys.executable, "-m", *celery], env, patience_s=3.0)


def _wait_until_ready(url: str, processes: Processes, patience_s: float = 60.0) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        processes.check()
        try:
            if httpx.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.2)
    raise TimeoutError(f"{url} does not answer after {patience_s:.0f} s")
