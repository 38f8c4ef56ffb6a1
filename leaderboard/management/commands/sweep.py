"""manage.py sweep"""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any

from django.core.management.base import CommandParser
from django.db import close_old_connections

from grader import companion
from leaderboard import tasks  # noqa: F401  (what a sweep without a broker runs)
from leaderboard.management.base import DatabaseCommand
from leaderboard.operations import sweeper

log = logging.getLogger(__name__)


class Command(DatabaseCommand):
    help = (
        "Return lost work to the queue and ring for waiting work; without a broker, do the site's own"
        " work here."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--every", type=float, metavar="SECONDS", help="go on until SIGTERM")
        parser.add_argument(companion.PARENT, type=int, metavar="PID", help="end with this process")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["every"] is None:
            sweeper.sweep_and_work()
            return
        if options["parent"]:
            companion.end_with(options["parent"])
        over = threading.Event()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the site worker decides
        signal.signal(signal.SIGTERM, lambda *_: over.set())
        while not over.wait(options["every"]):
            _round()


def _round() -> None:
    """Nothing may end the loop: a database that is away is back in a later round."""
    close_old_connections()
    try:
        sweeper.sweep_and_work()
    except Exception:
        log.exception("this round of the sweeper broke")
