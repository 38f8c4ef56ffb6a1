"""Going on with the rest when one thing breaks: for rounds that come again and again over many things."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger(__name__)


def each(things: Iterable[T], do: Callable[[T], object]) -> None:
    """Do it with every one, so that none keeps those after it from their turn, round after round.

    Raises:
        ExceptionGroup: what broke, once all had their turn; each was logged with the thing it broke at.
    """
    broken: list[Exception] = []
    for thing in things:
        try:
            do(thing)
        except ExceptionGroup as group:  # of a round within this one: logged there
            broken.append(group)
        except Exception as error:
            log.exception("broke at %r", thing)
            broken.append(error)
    if broken:
        raise ExceptionGroup("the rest was done", broken)
