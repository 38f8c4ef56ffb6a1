"""All output: results on stdout, progress on stderr, one JSON document with ``--json``."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape

from baseline.terminal.errors import CliError

PIPE_WIDTH = 200

_state = {"json": False}


def use_json(on: bool) -> None:
    """Called by each command with its ``--json`` option. If set, stdout carries only one JSON document."""
    _state["json"] = on


def json_wanted() -> bool:
    return _state["json"]


def out() -> Console:
    """Return stdout for people. Recreated each time to respect redirection in tests and NO_COLOR.

    In a file or pipe, tables are as wide as they need to be.
    """
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(file=sys.stdout, highlight=False, emoji=False, soft_wrap=True, width=width)


def err() -> Console:
    """Return stderr for progress, notes and errors, which are never part of the result."""
    return Console(file=sys.stderr, highlight=False, emoji=False, soft_wrap=True)


def safe(text: object) -> str:
    """Make untrusted text safe for a terminal by removing markup and control characters."""
    shown = (c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(text))
    return escape("".join(shown))


def typed(argument: object) -> str:
    """Make an untrusted path or URL safe inside a command to copy: quoted for the shell, and safe to
    display."""
    return safe(shlex.quote(str(argument)))


def emit(document: dict[str, Any]) -> None:
    """Print the result as JSON (sorted keys, so that two runs can be compared)."""
    print(json.dumps(document, ensure_ascii=False, indent=2, sort_keys=True, default=str))


def note(text: str) -> None:
    """Print a note about the work. It goes to stderr, so every mode shows it."""
    err().print(f"[dim]·[/dim] {safe(text)}")


def warn(text: str) -> None:
    err().print(f"[yellow]![/yellow] {safe(text)}")


def show_error(error: CliError) -> None:
    """Print one clear line and a next step; with ``--json``, print the same as a document on stdout."""
    if json_wanted():
        body = {"code": error.code, "message": error.message, "hint": error.hint}
        emit({"error": body, "exit_code": int(error.exit_code)})
        return
    console = err()
    console.print(f"[bold red]{safe(error.code)}[/bold red] {safe(error.message)}")
    if error.hint:
        console.print(f"  [bold]→[/bold] {safe(error.hint)}")


class Stages:
    """Show names and durations of the steps of a long job on stderr as they run."""

    def __init__(self) -> None:
        self.durations_s: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, text: str) -> Iterator[None]:
        console = err()
        started = time.monotonic()
        console.print(f"[cyan]▸[/cyan] {safe(text)} …")
        yield
        self.durations_s[name] = round(time.monotonic() - started, 3)
        console.print(f"  [green]done[/green] [dim]{self.durations_s[name]:.1f} s[/dim]")


@contextmanager
def byte_bar(title: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Show a transfer's progress on stderr. The block calls the yielded function with each byte count."""
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (title, BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True) as bar:
        task = bar.add_task(title, total=total_bytes)
        yield lambda count: bar.advance(task, count)


def language(choice: str = "") -> str:
    """Return ``en`` or ``ko``: the option if given, otherwise the locale."""
    if choice:
        return "ko" if choice.lower().startswith("ko") else "en"
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := os.environ.get(name):
            return "ko" if value.lower().startswith("ko") else "en"
    return "en"


def bytes_text(count: int) -> str:
    """1234567 -> ``1,234,567 bytes (1.2 MB)``. Exact first, because the ranking is by bytes."""
    value, unit = float(count), ""
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{count:,} bytes" if unit == "B" else f"{count:,} bytes ({value:.1f} {unit})"
