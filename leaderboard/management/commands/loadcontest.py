"""manage.py loadcontest NAME|FILE"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from grader.contest import ContestError
from leaderboard import contests


class Command(BaseCommand):
    help = "Make a contest file the version in force (a path, or the id of a bundled contest)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("contest", help="path to a TOML file, or demo, aimers8, …")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            contest, changed = contests.load(options["contest"])
        except ContestError as error:
            raise CommandError(str(error)) from error
        state = "loaded" if changed else "already in force"
        self.stdout.write(f"{contest.slug}: {contest.rules.title.en}: {state} ({contest.version})")
