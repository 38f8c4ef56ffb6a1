"""manage.py addworker NAME [--renew]"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from leaderboard import workers
from leaderboard.management.base import DatabaseCommand
from leaderboard.models import Worker


class Command(DatabaseCommand):
    help = "Register a GPU box and print its token, which is shown only once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument(
            "--renew", action="store_true", help="replace the token of a registered worker"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        if options["renew"]:
            worker = Worker.objects.registered().filter(name=name).first()
            if worker is None:
                raise CommandError(f"no worker {name!r}; register it without --renew")
            token = workers.renew(worker, by="manage.py")
        else:
            try:
                worker, token = workers.register(name, by="manage.py")
            except workers.NameTaken:
                hint = "use --renew for a new token, or retire it first with manage.py workers"
                raise CommandError(f"a worker {name!r} is already registered; {hint}") from None
        self.stderr.write(f"Worker {worker.name} registered. Set GRADER_TOKEN on that machine to:")
        self.stdout.write(token)
