"""Processing many things in periodic rounds without letting one failure stop the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


def each(things: Iterable[T], do: Callable[[T], object]) -> None:
    """Call the function for each thing, so that a failing one does not hold up the others round after round.

    Raises:
        ExceptionGroup: all errors, once every thing was processed; each was logged with its thing.
    """
    broken: list[Exception] = []
    for thing in things:
        try:
            do(thing)
        except ExceptionGroup as group:  # raised by a nested round, which logged it
            broken.append(group)
        except Exception as error:
            log.exception("broke at %r", thing)
            broken.append(error)
    if broken:
        raise ExceptionGroup("the rest was done", broken)
