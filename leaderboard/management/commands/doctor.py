"""manage.py doctor [--json]"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import translation

from leaderboard.operations.doctor import examine

MARKS = {"ok": "✓", "warning": "!", "error": "✗"}


class Command(BaseCommand):
    help = "Check database, broker, storage, disk, clocks, workers, queue, mail and settings."
    requires_system_checks = []  # they are one of the findings

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        with translation.override("en"):  # in English, like the commands that hints name
            findings = list(examine())
        if options["json"]:
            self.stdout.write(
                json.dumps([asdict(finding) for finding in findings], ensure_ascii=False)
            )
        else:
            for finding in findings:
                self.stdout.write(f"{MARKS[finding.level]} {finding.subject}: {finding.text}")
                if finding.hint:
                    self.stdout.write(f"    → {finding.hint}")
        if any(finding.level == "error" for finding in findings):
            raise SystemExit(1)
