"""The site as an operator runs it: gunicorn in a separate process, which a test can kill and restart."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from leaderboard.local.stack import free_port

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60.0


class SiteProcess:
    """Use as a context manager. ``url`` stays the same across restarts."""

    def __init__(self, home: Path, database_url: str) -> None:
        self.port = free_port(0)
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = os.environ | {
            "PARETOBOARD_HOME": str(home),
            "DATABASE_URL": database_url,
            "SITE_URL": self.url,
            "DJANGO_SETTINGS_MODULE": "leaderboard.settings",
        }
        self.log = home / "site.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> SiteProcess:
        home = Path(self.environment["PARETOBOARD_HOME"])
        (home / "static").mkdir(parents=True, exist_ok=True)
        collect = [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"]
        subprocess.run(collect, cwd=ROOT, env=self.environment, check=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py"]
        command += ["--bind", f"127.0.0.1:{self.port}", "--workers", "1", "leaderboard.wsgi"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        raise TimeoutError(self.log.read_text("utf-8", "replace")[-2000:])

    def kill(self) -> None:
        """SIGKILL all of it, as in a power failure."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def rss_mb(self) -> float:
        """Current resident memory of the master and its workers, without file-backed shared memory."""
        import psutil

        assert self.process is not None
        master = psutil.Process(self.process.pid)
        return sum(p.memory_info().rss for p in [master, *master.children(recursive=True)]) / 1e6
