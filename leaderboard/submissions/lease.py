"""A check's lease: renewed while the check works, so that no second one starts beside it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import DatabaseError, connection

log = logging.getLogger(__name__)
RENEW_EVERY_S = 15.0  # a quarter of lifecycle.CHECK_LEASE_S


@contextmanager
def renewed(renew: Callable[[], bool]) -> Iterator[None]:
    """Call ``renew`` regularly, in a thread of its own, until the block ends or there is nothing to renew.

    A renewal that fails is tried again at the next turn: if all of them fail, the check runs a second time and
    the first verdict counts.
    """
    done = threading.Event()
    thread = threading.Thread(target=_renew, args=(renew, done), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _renew(renew: Callable[[], bool], done: threading.Event) -> None:
    try:
        while not done.wait(RENEW_EVERY_S):
            try:
                if not renew():
                    log.warning("the lease of this check has gone to another one")
                    return
            except DatabaseError as error:
                log.warning("could not renew the lease of this check: %s", error)
    finally:
        connection.close()  # this thread's
