"""How commands that use the database handle one without tables."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError
from psycopg.errors import UndefinedTable


class DatabaseCommand(BaseCommand):
    """A command that asks to run ``migrate`` instead of failing with a traceback when there are no tables."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except ProgrammingError as error:
            if not isinstance(error.__cause__, UndefinedTable):
                raise
            raise CommandError("the database has no tables; run manage.py migrate first") from error
