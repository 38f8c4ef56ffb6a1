"""Where a bench or a rehearsal has a site of its own. Imported before Django is set up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A home of its own for a site, with a database and a broker, and no reserve on the disk."""
    from leaderboard.local import embedded

    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        home = Path(folder) / "home"
        home.mkdir()
        os.environ |= {"PARETOBOARD_HOME": str(home), "DISK_RESERVE_BYTES": "0"}
        embedded.ensure_database(home)
        embedded.ensure_broker(home)
        try:
            yield home
        finally:
            embedded.stop()
