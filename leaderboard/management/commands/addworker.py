"""manage.py addworker NAME"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from leaderboard.models import Worker


class Command(BaseCommand):
    help = "Register a GPU box and print its token, once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        worker, token = Worker.issue("pbw", name=options["name"])
        self.stderr.write(f"Worker {worker.name} registered. Set GRADER_TOKEN on that machine to:")
        self.stdout.write(token)
