"""Live server requests that outlive the test that caused them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def all_answered(patience_s: float = 30.0) -> Iterator[None]:
    """Wait on exit until every request started inside is answered.

    A killed worker and a closed browser leave requests behind that are still being answered; truncating tables
    while their transactions are open deadlocks.
    """
    others = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - others:
        if "process_request_thread" in thread.name:
            thread.join(patience_s)
            assert not thread.is_alive(), "a request whose asker is gone does not end"
