#!/usr/bin/env python
"""Django's command line. Starts the embedded PostgreSQL first if DATABASE_URL is not set."""

import os
import sys
from pathlib import Path

WITHOUT_DATABASE = {
    "help", "--help", "-h", "version", "makemessages", "compilemessages", "newcontest", "prefetch",
}  # fmt: skip
# These start workers. Other commands use an existing broker or none.
WITH_BROKER = {"demo"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
    from django.core.management import execute_from_command_line

    from leaderboard.local.embedded import ensure_broker, ensure_database, find_broker

    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    home = Path(os.environ.get("PARETOBOARD_HOME", Path(__file__).resolve().parent / "var"))
    if command not in WITHOUT_DATABASE:
        ensure_database(home)
        (ensure_broker if command in WITH_BROKER else find_broker)(home)
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
