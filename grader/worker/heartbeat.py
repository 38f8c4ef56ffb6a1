"""The thread that keeps a lease alive while the grade runs in the main thread."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from types import TracebackType

from grader.problems.catalogue import Stage
from grader.protocol.documents import Progress
from grader.protocol.worker import Job
from grader.worker.faults import Cancellation
from grader.worker.site import LeaseLostError, Site, SiteError

_log = logging.getLogger(__name__)

NEWS_S = 3.0  # the submission's page polls as often; a short benchmark is over within one heartbeat


class Heartbeat:
    """Reports the grade's progress to the site, and cancels the grade if the lease is lost.

    Sends every ``job.heartbeat_s``, and earlier if there is news, but at most every ``NEWS_S``.

    The lease is lost if the site says so, or if the site was unreachable for the whole lease duration: by then
    it has given the attempt to another worker, or will before it hears from us again.
    """

    def __init__(self, site: Site, job: Job, cancel: Cancellation) -> None:
        self._site, self._job, self._cancel = site, job, cancel
        self._latest = Progress(Stage.FETCH)
        self._over = threading.Event()
        context = contextvars.copy_context()  # the ids in log records
        self._thread = threading.Thread(
            target=context.run, args=(self._beat,), name="heartbeat", daemon=True
        )

    def tell(self, progress: Progress) -> None:
        """Store it for the thread to send. Never blocks, however often it is called."""
        self._latest = progress

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        heard = time.monotonic()
        while True:
            told = self._latest
            try:
                self._site.progress(self._job, told)
                heard = time.monotonic()
            except LeaseLostError:
                self._cancel.cancel("the site gave the attempt to another worker")
                return
            except SiteError as error:
                _log.warning("heartbeat: %s", error)
                if time.monotonic() - heard > self._job.lease_s:
                    self._cancel.cancel(f"site unreachable for {self._job.lease_s:g} s")
                    return
            if self._is_over_before_the_next(told):
                return

    def _is_over_before_the_next(self, told: Progress) -> bool:
        due = time.monotonic() + self._job.heartbeat_s
        while not self._over.wait(min(NEWS_S, self._job.heartbeat_s)):
            if self._latest is not told or time.monotonic() >= due:
                return False
        return True
