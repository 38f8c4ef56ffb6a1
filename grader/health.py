"""The health file of a container: touched from the Celery worker's own loop while the worker is running."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

TOUCH_EVERY_S = 15.0


def touch_regularly(repeat: Callable[[float, Callable[[], None]], object]) -> None:
    """Have ``repeat`` touch the file named by ``HEALTH_FILE``. Does nothing if the variable is not set.

    The alternative, asking the worker through the broker, would start Celery again every minute and use a
    second of CPU, which would disturb a speed round.
    """
    if name := os.environ.get("HEALTH_FILE"):
        file = Path(name)
        file.touch()
        repeat(TOUCH_EVERY_S, file.touch)
