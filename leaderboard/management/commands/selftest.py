"""manage.py selftest [--grade N]"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from grader import gallery
from leaderboard.models import Contest
from leaderboard.selftest import Selftest


class Command(BaseCommand):
    help = "Enter the gallery of bad, tricky and good submissions on the running site and compare verdicts."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="", help="address of the site (default: SITE_URL)")
        parser.add_argument("--only", default="", help="cases whose name contains this")
        parser.add_argument("--contest", default="demo", help="contest of the graded checkpoints")
        parser.add_argument(
            "--grade", type=int, default=1, help="good checkpoints that a worker grades"
        )
        parser.add_argument(
            "--patience", type=float, default=900.0, help="seconds to wait for a verdict"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["url"] or _running_site()
        cases = [case for case in gallery.CASES if options["only"] in case.id]
        graded = None
        if options["grade"] and not options["only"]:
            contest = (
                Contest.objects.select_related("version").filter(slug=options["contest"]).first()
            )
            if contest is None:
                raise CommandError(f"no contest {options['contest']!r}; name one with --contest")
            graded = contest, options["grade"]
        with tempfile.TemporaryDirectory(prefix="selftest-") as folder:
            test = Selftest(url, Path(folder), self.stderr.write, options["patience"])
            try:
                verdicts = test.run(cases, graded)
            except httpx.TransportError as error:
                raise CommandError(
                    f"{url} does not answer ({error}); start the site first"
                ) from error
        right = sum(not verdict.fault for verdict in verdicts)
        self.stdout.write(f"{right}/{len(verdicts)}")
        if right != len(verdicts):
            raise CommandError("some verdicts are wrong; see the lines marked FAIL")


def _running_site() -> str:
    """Where the site of this machine's stack listens, else SITE_URL."""
    note = settings.HOME / "site.url"
    return note.read_text().strip() if note.exists() else settings.SITE_URL
