"""manage.py contest public-copy CONTEST [--out DIR]"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser, no_translations

from grader.contest import ContestError
from leaderboard.contests import public_copy
from leaderboard.management.base import DatabaseCommand
from leaderboard.models import Contest


class Command(DatabaseCommand):
    help = "Write the copy of a contest that participants get: without salt, private data and speed prompts."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        copy = verbs.add_parser("public-copy", help="write the folder for participants")
        copy.add_argument("contest")
        copy.add_argument("--out", type=Path, metavar="DIR", help="(default: ./CONTEST-public)")

    @no_translations
    def handle(self, *args: Any, **options: Any) -> None:
        slug: str = options["contest"]
        contest = Contest.objects.in_force().filter(slug=slug).first()
        if contest is None:
            raise CommandError(f"no contest {slug!r}; manage.py loadcontest comes first")
        out: Path = options["out"] or Path(f"{slug}-public")
        if out.exists():
            raise CommandError(f"{out} already exists")
        try:
            kept_back = public_copy.write(contest.rules, out)
        except (ContestError, OSError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{out}: {contest.version}")
        for path in kept_back:
            replaced = (out / path).exists()
            self.stdout.write(f"  {path}: {'replaced by another' if replaced else 'left out'}")
