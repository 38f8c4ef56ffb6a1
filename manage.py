#!/usr/bin/env python
"""Django's command line; brings up the embedded PostgreSQL first when no DATABASE_URL is set."""

import os
import sys
from pathlib import Path

WITHOUT_DATABASE = {"help", "--help", "-h", "version", "makemessages", "compilemessages"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
    from django.core.management import execute_from_command_line

    from leaderboard.embedded import ensure_database

    if len(sys.argv) > 1 and sys.argv[1] not in WITHOUT_DATABASE:
        root = Path(__file__).resolve().parent
        ensure_database(Path(os.environ.get("PARETOBOARD_HOME", root / "var")))
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
