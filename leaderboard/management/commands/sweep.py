"""manage.py sweep"""

from __future__ import annotations

from typing import Any

from leaderboard.management.base import DatabaseCommand
from leaderboard.operations import sweeper


class Command(DatabaseCommand):
    help = "Return lost work to the queue and ring for waiting work; beat does this every 15 s."

    def handle(self, *args: Any, **options: Any) -> None:
        sweeper.sweep()
