"""A 2.5 GB upload by ``baseline submit``'s own client over loopback ÷ ``cp`` + ``sha256sum`` of the same file.

Runs against gunicorn as an operator runs it (one process, eight threads), with new services.
``rss_growth_mb`` is the largest growth of the site's processes relative to their size after a small upload.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.harness import alternate, say
from tests.checkpoints import write_random_safetensors

SIZE_BYTES = 2_500_000_000
QUICK_BYTES = 250_000_000
SMALL_BYTES = 20_000_000


def run(quick: bool) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        return _run(Path(folder), QUICK_BYTES if quick else SIZE_BYTES, 1 if quick else 2)


def _run(folder: Path, size_bytes: int, times: int) -> dict[str, object]:
    from leaderboard.local import embedded

    home = folder / "home"
    home.mkdir()
    os.environ |= {"PARETOBOARD_HOME": str(home), "XDG_STATE_HOME": str(folder / "state")}
    embedded.ensure_database(home)
    embedded.ensure_broker(home)
    try:
        return _measure(folder, home, size_bytes, times)
    finally:
        embedded.stop()


def _measure(folder: Path, home: Path, size_bytes: int, times: int) -> dict[str, object]:
    import django

    django.setup()
    from django.core.management import call_command

    from baseline.remote.client import Site
    from baseline.remote.tus import upload
    from tests.site_process import SiteProcess

    call_command("migrate", verbosity=0)
    token = _participant()
    large = write_random_safetensors(folder / "large.safetensors", size_bytes)
    small = write_random_safetensors(folder / "small.safetensors", SMALL_BYTES)
    copy = folder / "copy"

    def known() -> None:
        subprocess.run(["cp", str(large), str(copy)], check=True)
        subprocess.run(["sha256sum", str(copy)], check=True, stdout=subprocess.DEVNULL)
        copy.unlink()

    with (
        SiteProcess(home, os.environ["DATABASE_URL"]) as process,
        Site(process.url, token) as site,
    ):

        def ours() -> None:
            fields = {"note": str(time.monotonic()), "again": "1"}
            upload(site, "aimers8", large, fields, sha256=digest)
            for stored in (home / "uploads" / "archives").iterdir():
                stored.unlink()

        digest = subprocess.check_output(["sha256sum", str(large)], text=True).split()[0]
        upload(site, "aimers8", small, {})
        before = process.rss_mb()
        watch = _Peak(process.rss_mb)
        with watch:
            paired = alternate(ours, known, times)
    say(f"  site {before:.0f} MB before, {watch.mb:.0f} MB at most")
    return {
        "ratio": round(paired.ratio, 2),
        "rss_growth_mb": round(watch.mb - before, 1),
        "size_bytes": size_bytes,
        "seconds": round(min(paired.ours_s), 2),
    }


def _participant() -> str:
    """The full-size contest, open now, and a team that may submit as often as the benchmark does."""
    from django.contrib.auth.models import User

    from leaderboard import teams
    from leaderboard.accounts import tokens
    from leaderboard.contests import loading
    from leaderboard.models import Contest, ContestVersion

    contest, _ = loading.load("aimers8")
    assert contest.version is not None
    source = contest.version.source.replace("2026-04-05T18:00", "2036-04-05T18:00")
    source = source.replace("submissions_per_day = 3", "submissions_per_day = 99")
    ContestVersion.objects.filter(pk=contest.version_id).update(source=source)
    contest = Contest.objects.select_related("version").get(pk=contest.pk)
    captain = User.objects.create_user("captain", "captain@example.org", "unused-password")
    teams.create(contest, "Bench", captain)
    return tokens.issue_token(captain, "bench")


class _Peak:
    """Record the highest value of ``probe`` while the block runs, sampled ten times a second."""

    def __init__(self, probe: Callable[[], float]) -> None:
        self.mb = 0.0
        self._probe = probe
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(0.1):
            self.mb = max(self.mb, self._probe())
