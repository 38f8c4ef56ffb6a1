"""manage.py twins FILE --out FILE [--count N] [--seed TEXT]"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import override

from leaderboard.contests.drafting import twins_file
from leaderboard.core.errors import Refused


class Command(BaseCommand):
    help = (
        "Rewrite questions in GSM8K's format with other numbers and names, their solutions computed again: "
        "a fresh twin of a published benchmark. docs/fairness.md says what can be rewritten."
    )
    requires_system_checks = ()  # needs no database

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", type=Path, metavar="FILE", help="JSON lines with question and answer"
        )
        parser.add_argument(
            "--out", type=Path, required=True, metavar="FILE", help="JSON lines to write"
        )
        parser.add_argument("--count", type=int, default=0, help="at most so many (default: all)")
        parser.add_argument(
            "--seed", default="", help="for the same ones again; keep it secret (default: random)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            read, made = twins_file.make(options["file"], options["seed"], options["count"])
            twins_file.write(options["out"], made)
        except Refused as error:
            with override("en"):
                raise CommandError(f"{error.code}: {error.message}. {error.hint}") from error
        self.stdout.write(f"{options['out']}: {len(made)} twins of {read} questions")
