"""The ways a grade can end without a report. Any other exception is a bug and becomes SYS_INTERNAL."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

from grader.problems.catalogue import Problem


class Stopped(Exception):
    """Base class for everything that ends a grade early. ``log`` is the raw end of an engine's log, if
    relevant.
    """

    def __init__(self, problems: Sequence[Problem], log: str = "") -> None:
        super().__init__("; ".join(f"{p.code} {p.where} {p.detail}".strip() for p in problems))
        self.problems = tuple(problems)
        self.log = log


class Rejected(Stopped):
    """The checkpoint is at fault. The team has to fix it; it is never retried automatically."""


class Failed(Stopped):
    """We are at fault. The grade is retried at no cost to the team."""


def rejected(code: str, where: str = "", detail: str = "", log: str = "") -> Rejected:
    return Rejected([Problem(code, where, detail)], log)


def failed(code: str, where: str = "", detail: str = "", log: str = "") -> Failed:
    return Failed([Problem(code, where, detail)], log)


class Cancelled(Exception):
    """The grade is no longer wanted: the lease was lost or the user pressed Ctrl-C. Nothing may be written."""


class Cancellation:
    """Stops a grade from another thread. Registered callbacks (which kill engines) run immediately in that
    thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason = ""
        self._callbacks: list[Callable[[], None]] = []

    @property
    def reason(self) -> str:
        """Return the reason, or empty if nothing was canceled."""
        return self._reason

    def cancel(self, reason: str) -> None:
        with self._lock:
            if self._reason:
                return
            self._reason = reason or "cancelled"
            callbacks = list(self._callbacks)
        with contextlib.ExitStack() as stack:  # run all of them even if one raises
            for callback in callbacks:
                stack.callback(callback)

    def on_cancel(self, callback: Callable[[], None]) -> None:
        """Run ``callback`` when canceled, or now if that has already happened."""
        with self._lock:
            self._callbacks.append(callback)
            late = bool(self._reason)
        if late:
            callback()

    def check(self) -> None:
        """Raise :class:`Cancelled` if it is canceled."""
        if self._reason:
            raise Cancelled(self._reason)


def first_of(errors: BaseExceptionGroup[Any]) -> BaseException:
    """Return the first single error of a group, which caused the others to be canceled."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
