"""Container health; exit code 0 means healthy.

``healthcheck.py`` asks the web server, ``healthcheck.py site|gpu`` the Celery worker of that name, and
``healthcheck.py beat`` looks whether beat has written its schedule of late.
"""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

APPS = {"site": "leaderboard.celery", "gpu": "grader.worker.celery"}
BEAT_SILENCE_S = 600  # beat writes its schedule every three minutes


def web() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=4)
    # What a proxy would send, so that neither the host check nor the redirect to https answers instead.
    headers = {"Host": "localhost", "X-Forwarded-Proto": "https"}
    connection.request("GET", "/healthz", headers=headers)
    return connection.getresponse().status == 200


def queue(name: str) -> bool:
    node = f"{name}@{socket.gethostname()}"
    command = [sys.executable, "-m", "celery", "--app", APPS[name], "inspect", "ping"]
    command += ["--destination", node, "--timeout", "5"]
    return subprocess.run(command, capture_output=True, timeout=25, check=False).returncode == 0


def beat() -> bool:
    files = list(Path(os.environ["PARETOBOARD_HOME"]).glob("celerybeat-schedule*"))
    return any(time.time() - file.stat().st_mtime < BEAT_SILENCE_S for file in files)


def main(arguments: list[str]) -> int:
    what = arguments[0] if arguments else "web"
    try:
        healthy = web() if what == "web" else beat() if what == "beat" else queue(what)
    except (OSError, http.client.HTTPException, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
