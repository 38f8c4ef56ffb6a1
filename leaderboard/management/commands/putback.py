"""manage.py putback"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from leaderboard import lifecycle
from leaderboard.management.base import DatabaseCommand


class Command(DatabaseCommand):
    help = "Queue every entry again that failed through a fault of ours, such as an outage."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")

    def handle(self, *args: Any, **options: Any) -> None:
        failed = lifecycle.failed_for_our_sake()
        if options["dry_run"]:
            self.stdout.write(f"{failed.count()} would be put back")
        else:
            self.stdout.write(f"{lifecycle.put_back(failed, by='putback')} put back")
