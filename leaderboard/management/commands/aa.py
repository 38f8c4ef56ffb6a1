"""manage.py aa WORKER [--contest ID] [--wait SECONDS]"""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import CommandError, CommandParser, no_translations

from leaderboard import workers
from leaderboard.core import doorbell
from leaderboard.management.base import DatabaseCommand
from leaderboard.models import AARun, Contest, Worker

POLL_S = 1.0


class Command(DatabaseCommand):
    help = "Test a worker at its next claim: the base model against itself. A worker that fails is drained."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("worker")
        parser.add_argument(
            "--contest", default="", help="contest id (default: the only one loaded)"
        )
        parser.add_argument(
            "--wait", type=float, default=0.0, help="seconds to wait for the result; 0: do not"
        )

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        worker = Worker.objects.registered().filter(name=options["worker"]).first()
        if worker is None:
            raise CommandError(f"no worker named {options['worker']!r}; see manage.py workers")
        contest = _contest(options["contest"])
        try:
            run = workers.aa.ask(worker, contest, by="manage.py")
        except workers.AlreadyAsked:
            raise CommandError("that test is already waiting or running") from None
        except workers.NotPossible as error:
            raise CommandError(f"{worker.name} cannot be tested: {error}") from error
        doorbell.ring_workers()
        self.stderr.write(f"A/A test {run.pk} of {worker.name} on {contest.slug} requested")
        if options["wait"]:
            self._wait(run, options["wait"])

    def _wait(self, run: AARun, patience_s: float) -> None:
        deadline = time.monotonic() + patience_s
        while run.status in AARun.OPEN:
            if time.monotonic() > deadline:
                raise CommandError(f"A/A test {run.pk} is still {run.status}")
            time.sleep(POLL_S)
            run.refresh_from_db()
        for outcome in run.outcomes:
            text = f"{outcome['shape']}: ratio {outcome['ratio']:.4f} ± {outcome['half_width']:.4f}"
            self.stdout.write(f"{text}, base {outcome['base_s']:.3f} s")
        words = "; ".join(f"{p['code']} {p['where']} {p['detail']}" for p in run.problems)
        if not run.passed:
            raise CommandError(f"{run.status}: {words}")
        self.stdout.write("passed")


def _contest(slug: str) -> Contest:
    contests = list(Contest.objects.listed())
    chosen = [c for c in contests if slug in ("", c.slug)]
    if len(chosen) != 1:
        known = ", ".join(c.slug for c in contests) or "none"
        raise CommandError(f"name one contest with --contest; loaded: {known}")
    return chosen[0]
