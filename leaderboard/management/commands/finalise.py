"""manage.py finalise CONTEST --reason … [--dry-run] [--output FILE]"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override

from leaderboard.core.errors import Refused
from leaderboard.management.base import DatabaseCommand
from leaderboard.models import Contest
from leaderboard.organisers import closing


class Command(DatabaseCommand):
    help = "Make a contest's result final, forever, and seal its evidence. This cannot be undone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("contest")
        parser.add_argument("--reason", required=True, help="kept in the audit log")
        parser.add_argument("--dry-run", action="store_true", help="only print what prevents it")
        parser.add_argument("--output", type=Path, help="also write the evidence archive here")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = Contest.objects.in_force().select_related("pending")
        contest = rows.filter(slug=options["contest"]).first()
        if contest is None:
            raise CommandError(f"no contest {options['contest']!r}")
        output: Path | None = options["output"]
        if output and output.exists():
            raise CommandError(f"{output} already exists")
        with override("en"):
            found = closing.obstacles(contest)
            if options["dry_run"]:
                for obstacle in found:
                    self.stdout.write(str(obstacle))
                self.stdout.write("nothing was changed" if found else "ready to finalize")
                return
            try:
                contest = closing.finalise(
                    contest, by="manage.py finalise", reason=options["reason"]
                )
                seal = closing.seal(contest, by="manage.py finalise")
            except Refused as error:
                others = "".join(f"\n{other}" for other in found if other.code != error.code)
                raise CommandError(f"{error}{others}") from error
        self.stdout.write(f"{contest.slug} is final; manifest {seal.after['manifest_sha256']}")
        if output:
            with output.open("xb") as file:
                file.writelines(closing.export(contest))
            self.stdout.write(f"evidence: {output}")
