"""manage.py prefetch CONTEST"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from grader.assets import prefetch


class Command(BaseCommand):
    help = "Download a contest's pinned data sets and base model so that graders here work offline."
    requires_system_checks = ()  # needs no database

    def add_arguments(self, parser: CommandParser) -> None:
        prefetch.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        cache, base_models = options["cache"] or "", options["base_models"] or ""
        try:
            say = self.stdout.write
            which = {"pin": options["pin"], "headers": options["headers"]}
            prefetch.run(options["contest"], cache, base_models, say, **which)
        except prefetch.PrefetchError as error:
            raise CommandError(str(error)) from error
