"""manage.py publish_baselines CONTEST [--by USER] [--model FOLDER]"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override

from leaderboard.core.errors import Refused
from leaderboard.management.base import DatabaseCommand
from leaderboard.models import Contest
from leaderboard.operations import references


class Command(DatabaseCommand):
    help = "Compress and enter the base model and the contest's references; existing entries are skipped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("contest")
        parser.add_argument(
            "--by", default="", help="staff account that enters them (default: the first)"
        )
        parser.add_argument("--model", default="", help="folder with the base model's weights")

    def handle(self, *args: Any, **options: Any) -> None:
        contest = Contest.objects.in_force().filter(slug=options["contest"]).first()
        if contest is None:
            known = ", ".join(Contest.objects.values_list("slug", flat=True)) or "none"
            raise CommandError(f"no contest {options['contest']!r}; loaded: {known}")
        model = Path(options["model"]).expanduser() if options["model"] else None
        try:
            count = references.publish(contest, _staff(options["by"]), self.stderr.write, model)
        except references.PublishError as error:
            raise CommandError(str(error)) from error
        except Refused as error:
            with override("en"):
                raise CommandError(str(error)) from error
        self.stdout.write(f"{count} entered")


def _staff(username: str) -> User:
    found = User.objects.filter(is_staff=True, is_active=True).order_by("pk")
    user = found.filter(username=username).first() if username else found.first()
    if user is None:
        who = f"{username!r} is not a staff account" if username else "there is no staff account"
        raise CommandError(f"{who}; create one with manage.py createsuperuser")
    return user
