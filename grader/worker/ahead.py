"""Fetches, checks and rebuilds the entry that will probably be next, while another one is graded.

The site says which one it is; nothing is reserved, and the claim decides. What was prepared is used if the
claim brings the same content under the same rules, and is thrown away otherwise. Work goes on while engines
load and answer questions. Before speed is measured it ends, finished or not: it would disturb the measurement.

Only where the sandbox hides the worker's folder: what lies ready there belongs to another team.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from grader.checkpoint.limited import CheckCrashedError
from grader.contest import Contest
from grader.problems.catalogue import Stage
from grader.protocol.worker import GradeJob, Introduction, NextEntry
from grader.worker import intake, workspace
from grader.worker.faults import Cancellation, Cancelled, Rejected, Stopped
from grader.worker.fetch import fetch
from grader.worker.intake import Checked
from grader.worker.sandbox import box
from grader.worker.settings import Settings
from grader.worker.site import LeaseLostError, Site, SiteError

_log = logging.getLogger(__name__)

HIDING = ("network", "namespace")
# A download that waits for the network notices its end late, but disturbs nobody meanwhile.
END_S = 2.0


@dataclass(frozen=True, slots=True)
class _Ready:
    entry: NextEntry
    found: Path | Checked
    files: contextlib.ExitStack

    def is_for(self, entry: NextEntry | GradeJob) -> bool:
        """Whether it is the same content under the same rules."""
        return all(
            getattr(self.entry, name) == getattr(entry, name)
            for name in ("contest", "contest_sha256", "archive_sha256", "archive_bytes", "hub")
        )


class Ahead:
    """Use as a context manager, by one grade at a time."""

    def __init__(
        self,
        site: Site,
        settings: Settings,
        introduction: Callable[[], Introduction],
        contest_of: Callable[[NextEntry], Contest],
    ) -> None:
        self._site, self._settings = site, settings
        self._introduction, self._contest_of = introduction, contest_of
        self._lock = threading.Lock()
        self._ready: _Ready | None = None
        self._work: tuple[threading.Thread, Cancellation] | None = None

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.halt()
        if self._ready is not None:
            self._ready.files.close()
            self._ready = None

    def follow(self, stage: Stage) -> None:
        """Start or end the work as the grade goes on."""
        if stage in (Stage.LOAD, Stage.QUALITY):
            if self._work is None and self._settings.fetch_ahead:
                cancel = Cancellation()
                thread = threading.Thread(target=self._run, args=(cancel,), daemon=True)
                self._work = thread, cancel
                thread.start()
        elif stage is Stage.SPEED:
            self.halt()

    def halt(self) -> None:
        """End the work; what is ready stays."""
        if self._work is not None:
            thread, cancel = self._work
            with self._lock:
                cancel.cancel("the time to work ahead is over")
            thread.join(END_S)

    @contextlib.contextmanager
    def taken(self, job: GradeJob) -> Iterator[Path | Checked | None]:
        """What is ready for this job, until the end of the block; None if nothing is."""
        self._work = None
        with self._lock:
            ready = self._ready
            if ready is not None and ready.is_for(job):
                self._ready = None
            else:
                ready = None
        if ready is None:
            yield None
            return
        with ready.files:
            _log.info("it was fetched ahead")
            yield ready.found

    def _run(self, cancel: Cancellation) -> None:
        try:
            self._prepare(cancel)
        except Cancelled:
            _log.info("the next entry was not ready in time")
        except (Stopped, SiteError, LeaseLostError, CheckCrashedError, OSError) as error:
            # The claim will meet it again, and say so to the site.
            _log.info("the next entry cannot be fetched ahead: %s", error or type(error).__name__)
        except Exception:
            _log.exception("unforeseen, while fetching ahead")

    def _prepare(self, cancel: Cancellation) -> None:
        if box.detect(self._settings.sandbox) not in HIDING:
            return
        entry = self._site.upcoming(self._introduction())
        if entry is None:
            return
        with self._lock:
            cancel.check()
            if self._ready is not None and self._ready.is_for(entry):
                return
            stale, self._ready = self._ready, None
        if stale is not None:
            stale.files.close()
        contest = self._contest_of(entry)
        with contextlib.ExitStack() as files:
            folder = files.enter_context(workspace.create(self._settings))
            size = sum(f.size_bytes for f in entry.hub.files) if entry.hub else entry.archive_bytes
            if shutil.disk_usage(folder).free < size + 2 * contest.limits.unpacked_bytes:
                _log.info("no room to fetch the next entry ahead")
                return
            found = self._find(entry, contest, folder, cancel)
            with self._lock:
                cancel.check()
                self._ready = _Ready(entry, found, files.pop_all())
        _log.info("submission %d is ready", entry.submission)

    def _find(
        self, entry: NextEntry, contest: Contest, folder: Path, cancel: Cancellation
    ) -> Path | Checked:
        source = folder / "source"
        if entry.hub is None:
            self._site.download(entry, source, cancel.check)
        else:
            fetch(entry.hub, source, contest.limits, self._settings, cancel=cancel)
        try:
            checked = intake.check(source, folder, contest, cancel.check)
        except Rejected:
            return source  # the grade itself finds out why, and says so
        if source.is_file():
            source.unlink()
        else:
            shutil.rmtree(source)
        return checked
