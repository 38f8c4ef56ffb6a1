"""PostgreSQL and Valkey for every test: embedded unless the environment names others.

Loaded with ``-p`` before pytest-django reads the settings, which happens only once.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from leaderboard.local import embedded

HOME = Path(tempfile.mkdtemp(prefix="paretoboard-tests-"))
os.environ["PARETOBOARD_HOME"] = str(HOME)
# Playwright's sync API keeps a loop running
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
(HOME / "static").mkdir()
embedded.ensure_database(HOME)
embedded.ensure_broker(HOME)


def pytest_unconfigure() -> None:
    embedded.stop()
    shutil.rmtree(HOME, ignore_errors=True)
