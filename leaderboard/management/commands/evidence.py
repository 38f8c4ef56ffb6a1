"""manage.py evidence export CONTEST FILE | verify FILE"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override

from leaderboard.core.errors import Refused
from leaderboard.management.base import DatabaseCommand
from leaderboard.models import Contest
from leaderboard.organisers import closing


class Command(DatabaseCommand):
    help = (
        "Export a finalized contest's evidence, or verify an archive against this site's audit log."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        export = verbs.add_parser("export", help="write the evidence archive")
        export.add_argument("contest")
        export.add_argument("file", type=Path)
        verify = verbs.add_parser("verify", help="exit code 1 if anything differs")
        verify.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        with override("en"):
            if options["verb"] == "export":
                self._export(options["contest"], options["file"])
            else:
                self._verify(options["file"])

    def _export(self, slug: str, path: Path) -> None:
        contest = Contest.objects.select_related("version").filter(slug=slug).first()
        if contest is None:
            raise CommandError(f"no contest {slug!r}")
        if path.exists():
            raise CommandError(f"{path} already exists")
        try:
            seal = closing.seal(contest)
            pieces = closing.export(contest)
        except Refused as error:
            raise CommandError(str(error)) from error
        with path.open("xb") as file:
            file.writelines(pieces)
        self.stdout.write(f"{seal.after['files']} files, manifest {seal.after['manifest_sha256']}")

    def _verify(self, path: Path) -> None:
        try:
            found = closing.verify(path)
        except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
            raise CommandError(f"{path} is not an evidence archive: {error}") from error
        for line in found.wrong:
            self.stdout.write(line)
        if not found.contest:
            self.stdout.write(
                f"manifest {found.manifest_sha256} is not sealed in this site's audit log"
            )
        if not found.is_genuine:
            raise CommandError("not genuine")
        self.stdout.write(
            f"genuine: {found.files} files of {found.contest}, manifest {found.manifest_sha256}"
        )
