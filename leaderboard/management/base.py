"""What every command that works on the database does about a database that has no tables yet."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import ProgrammingError
from psycopg.errors import UndefinedTable


class DatabaseCommand(BaseCommand):
    """A command that says ``run migrate`` where there are no tables, instead of a traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except ProgrammingError as error:
            if not isinstance(error.__cause__, UndefinedTable):
                raise
            raise CommandError("the database lacks tables: run manage.py migrate first") from error
