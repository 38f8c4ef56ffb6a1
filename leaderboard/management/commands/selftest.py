"""manage.py selftest [--grade N] [--quick] [--only TEXT] [--json]"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from grader import gallery
from leaderboard.management.base import DatabaseCommand
from leaderboard.models import Contest
from leaderboard.operations.selftest import Selftest, Verdict, one_per_code

WRONG, UNREACHABLE = 1, 2  # exit codes


class Command(DatabaseCommand):
    help = (
        "Enter the gallery of bad, tricky and good submissions on the running site and compare verdicts. "
        "Exit code 1: some are wrong; 2: the site does not answer or no case was selected."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="", help="address of the site (default: SITE_URL)")
        parser.add_argument("--only", default="", help="cases whose name or code contains this")
        parser.add_argument("--quick", action="store_true", help="one case per code and notice")
        parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
        parser.add_argument("--contest", default="demo", help="contest of the graded checkpoints")
        parser.add_argument(
            "--grade",
            type=int,
            default=1,
            help="good checkpoints for a worker to grade, besides those it must refuse; 0: none",
        )
        parser.add_argument(
            "--patience", type=float, default=900.0, help="seconds to wait for a verdict"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        url = options["url"] or _running_site()
        only = options["only"]
        cases = [case for case in gallery.CASES if only in case.id or only in case.code]
        if options["quick"]:
            cases = one_per_code(cases)
        if not cases:
            raise CommandError(f"no case has {only!r} in its name or code", returncode=UNREACHABLE)
        graded = None
        if options["grade"] and not only:
            contest = (
                Contest.objects.select_related("version").filter(slug=options["contest"]).first()
            )
            if contest is None:
                raise CommandError(f"no contest {options['contest']!r}; name one with --contest")
            graded = contest, options["grade"]
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="selftest-") as folder:
            test = Selftest(url, Path(folder), self.stderr.write, options["patience"])
            try:
                verdicts = test.run(cases, graded)
            except httpx.TransportError as error:
                raise CommandError(
                    f"{url} does not answer ({error}); start the site first", returncode=UNREACHABLE
                ) from error
        self._tell(verdicts, time.monotonic() - started, as_json=options["json"])

    def _tell(self, verdicts: list[Verdict], took_s: float, *, as_json: bool) -> None:
        right = sum(not verdict.fault for verdict in verdicts)
        if as_json:
            document = {
                "right": right,
                "of": len(verdicts),
                "took_s": round(took_s, 1),
                "verdicts": [asdict(verdict) for verdict in verdicts],
            }
            self.stdout.write(json.dumps(document, ensure_ascii=False))
        else:
            self.stderr.write(f"in {took_s:.0f} s")
            self.stdout.write(f"{right}/{len(verdicts)}")
        if right != len(verdicts):
            names = ", ".join(verdict.case for verdict in verdicts if verdict.fault)
            raise CommandError(f"wrong verdicts: {names}", returncode=WRONG)


def _running_site() -> str:
    """The address of the stack on this machine if there is one, otherwise SITE_URL."""
    note = settings.HOME / "site.url"
    return note.read_text().strip() if note.exists() else settings.SITE_URL
