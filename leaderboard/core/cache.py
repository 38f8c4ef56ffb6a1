"""Caches expensive values in this process, and in Valkey for other processes.

Keys include everything a value depends on, so a cached value is never stale; it just stops being requested. If
Valkey is down, pages are slower but still work.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import cache as valkey
from redis.exceptions import RedisError

log = logging.getLogger(__name__)
Made = TypeVar("Made")

KEPT_HERE = 64
KEPT_THERE_S = 24 * 3600
PAUSE_S = 10.0  # how long to skip Valkey after it failed to answer

_here: OrderedDict[str, Any] = OrderedDict()
_lock = Lock()
_making: dict[str, Lock] = {}
_silent_until = 0.0


def remember(key: str, make: Callable[[], Made], *, is_shared: bool = True) -> Made:
    """The value under ``key``, computed by at most one thread at a time in this process.

    Args:
        is_shared: share it with other processes through Valkey; for values that cost more to compute than to
            fetch.
    """
    key = hashlib.sha256(f"{source_digest()} {key}".encode()).hexdigest()
    with _lock:
        if key in _here:
            _here.move_to_end(key)
            return _here[key]  # type: ignore[no-any-return]
        making = _making.setdefault(key, Lock())
    try:
        with making:
            with _lock:
                if key in _here:
                    return _here[key]  # type: ignore[no-any-return]
            value = _from_valkey(key) if is_shared else None
            if value is None:
                value = make()
                if is_shared:
                    _to_valkey(key, value)
            with _lock:
                _here[key] = value
                while len(_here) > KEPT_HERE:
                    _here.popitem(last=False)
        return value
    finally:
        with _lock:
            _making.pop(key, None)


def forget() -> None:
    """Reset to the state of a fresh process; for tests and benches."""
    with _lock:
        _here.clear()


@cache
def source_digest() -> str:
    """A digest of the code and templates behind the values, so that releases do not share cached values."""
    digest = hashlib.sha256()
    for folder, pattern in (("leaderboard", "**/*.py"), ("grader", "**/*.py"), ("templates", "**/*.html"),
                            ("leaderboard/locale", "**/*.mo")):  # fmt: skip
        for file in sorted((Path(settings.ROOT) / folder).glob(pattern)):
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _from_valkey(key: str) -> Any:
    if time.monotonic() < _silent_until:
        return None
    try:
        return valkey.get(key)
    except RedisError as error:
        _be_silent(error)
        return None


def _to_valkey(key: str, value: object) -> None:
    if time.monotonic() < _silent_until:
        return
    try:
        valkey.set(key, value, KEPT_THERE_S)
    except RedisError as error:
        _be_silent(error)


def _be_silent(error: Exception) -> None:
    global _silent_until
    _silent_until = time.monotonic() + PAUSE_S
    log.warning("the cache does not answer, going on without it for %g s: %s", PAUSE_S, error)
