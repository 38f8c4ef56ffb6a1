"""Container health; exit code 0 means healthy.

``healthcheck.py`` queries the web server, ``healthcheck.py queue`` checks whether this container's Celery
worker has touched its file, and ``healthcheck.py beat`` whether beat has written its schedule. None of them
imports Celery, which takes a second of CPU and would disturb a speed round.
"""

from __future__ import annotations

import http.client
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

QUEUE_SILENCE_S = 90  # a Celery worker touches its file every 15 seconds
BEAT_SILENCE_S = 600  # beat writes its schedule every three minutes


def web() -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", 8000, timeout=4)
    # What a proxy would send; otherwise the host check or the redirect to https would answer.
    headers = {"Host": "localhost", "X-Forwarded-Proto": "https"}
    connection.request("GET", "/healthz", headers=headers)
    return connection.getresponse().status == 200


def queue() -> bool:
    return _is_fresh([Path(os.environ["HEALTH_FILE"])], QUEUE_SILENCE_S)


def beat() -> bool:
    home = Path(os.environ["PARETOBOARD_HOME"])
    return _is_fresh(home.glob("celerybeat-schedule*"), BEAT_SILENCE_S)


def _is_fresh(files: Iterable[Path], silence_s: float) -> bool:
    return any(time.time() - file.stat().st_mtime < silence_s for file in files)


def main(arguments: list[str]) -> int:
    check = {"web": web, "queue": queue, "beat": beat}[arguments[0] if arguments else "web"]
    try:
        healthy = check()
    except (OSError, http.client.HTTPException) as error:
        print(error, file=sys.stderr)
        return 1
    return 0 if healthy else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
