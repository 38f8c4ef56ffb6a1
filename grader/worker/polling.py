"""Asks the site for work every 30 seconds, and at once when the doorbell rings.

``python -m grader.worker.polling``: the companion of the Celery worker, which only listens for rings. It needs
nothing but the site, so a broker that is down delays a grade by at most 30 seconds. Each round runs in a child
process, because lm-eval and torch would otherwise stay in memory; the children inherit this start's ``boot``. A
round lasts as long as the base model's engine, its child process, is kept up.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from logging.config import dictConfig

from grader import companion, logs
from grader.worker.doorbell import Doorbell
from grader.worker.run import run_pending
from grader.worker.settings import Settings

POLL_EVERY_S = 30.0

_log = logging.getLogger(__name__)


def poll(settings: Settings, round_: Callable[[Settings, Stop], object]) -> None:
    """Run ``round_`` in a child process, again and again, until SIGTERM; the current grade is finished."""
    with Doorbell(settings.scratch) as doorbell:
        stop = Stop(doorbell)
        # Ctrl-C reaches the whole group, and Celery decides what it means.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, stop.ask)
        while not stop():
            stop.child = _start(settings, round_, stop)
            if stop():  # asked before the child's id was known
                os.kill(stop.child, signal.SIGTERM)
            _, status = os.waitpid(stop.child, 0)
            stop.child = 0
            if code := os.waitstatus_to_exitcode(status):
                _log.error("the grading process ended with %d", code)
            if not stop():
                doorbell.wait(POLL_EVERY_S)


class Stop:
    """Whether this process was asked to end, in the loop and in its child."""

    def __init__(self, doorbell: Doorbell) -> None:
        self._doorbell = doorbell
        self._asked = False
        self.child = 0

    def __call__(self) -> bool:
        return self._asked

    def wait(self, limit_s: float) -> None:
        """Wait for a ring, the next time to ask, or the end, in a child that has not finished its round."""
        self._doorbell.wait(min(limit_s, POLL_EVERY_S))

    def ask(self, *_: object) -> None:
        """Handle SIGTERM."""
        self._asked = True
        self._doorbell.ring()
        if self.child:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(self.child, signal.SIGTERM)


def _start(settings: Settings, round_: Callable[[Settings, Stop], object], stop: Stop) -> int:
    """Fork: this process has one thread, and has imported nothing heavy."""
    loop = os.getpid()
    if child := os.fork():
        return child
    code = 1
    try:
        companion.end_with(loop)
        stop.child = 0
        round_(settings, stop)
        code = 0
    except Exception:
        _log.exception("unforeseen")
    finally:
        logging.shutdown()
        os._exit(code)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m grader.worker.polling", description=__doc__)
    parser.add_argument(companion.PARENT, type=int, help="end with this process")
    parser.add_argument("--loglevel", default="INFO")
    chosen = parser.parse_args(arguments)
    if chosen.parent:
        companion.end_with(chosen.parent)
    settings = Settings.from_env()
    dictConfig(logs.config(settings.log_format, chosen.loglevel))
    poll(settings, lambda found, stop: run_pending(found, stop=stop, wait=stop.wait))


if __name__ == "__main__":
    main(sys.argv[1:])
