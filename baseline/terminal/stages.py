"""Shows a job's stages as they run: a live list on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from baseline.terminal.output import err, safe

if TYPE_CHECKING:
    from rich.live import Live

MEASURING = ("fetch", "check", "load", "quality", "speed")
GRADING = ("upload", "check", "wait", "fetch", "load", "quality", "speed", "score")


@dataclass(slots=True)
class _Stage:
    name: str
    started: float = 0.0
    seconds: float | None = None
    done: int = 0
    total: int = 0
    note: str = ""
    failed: bool = False


class StageDisplay:
    """Use as a context manager and call :meth:`tell`.

    On a terminal every stage has a row: completed stages show their duration, the running one a bar. Elsewhere
    a line is printed whenever the stage changes (``every_step``: whenever anything changes).
    """

    def __init__(self, stages: tuple[str, ...], every_step: bool = False) -> None:
        self._stages = {name: _Stage(name) for name in stages}
        self._current = ""
        self._every_step = every_step
        self._told = ""
        self._console = err()
        self._live: Live | None = None

    def __enter__(self) -> StageDisplay:
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            from rich.live import Live

            self._live = Live(self, console=self._console, refresh_per_second=8, transient=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: object, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._finish(self._current)
        else:
            self.fail()
        if self._live:
            self._live.stop()

    def tell(
        self, stage: str, done: int = 0, total: int = 0, note: str = "", status: str = ""
    ) -> None:
        """Report ``done`` of ``total`` steps of ``stage``. Plain lines start with ``status``."""
        if stage != self._current:
            self._finish(self._current)
            self._begin(stage)
        row = self._stages[stage]
        row.done, row.total, row.note = done, total, safe(note)
        if self._live is None:
            self._print(stage, done, total, note, status)

    def fail(self) -> None:
        """Mark the running stage as failed."""
        if row := self._stages.get(self._current):
            row.failed = True

    def _begin(self, stage: str) -> None:
        """Mark stages skipped since the site's last report as done, however long they took."""
        known = list(self._stages)
        if stage in known:
            for name in known[: known.index(stage)]:
                if self._stages[name].seconds is None and not self._stages[name].started:
                    self._stages[name].seconds = 0.0
        self._stages.setdefault(stage, _Stage(stage)).started = time.monotonic()
        self._stages[stage].seconds = None
        self._current = stage

    def _finish(self, stage: str) -> None:
        if (row := self._stages.get(stage)) and row.started:
            row.seconds = time.monotonic() - row.started

    def _print(self, stage: str, done: int, total: int, note: str, status: str) -> None:
        count = f" {done}/{total}" if total else ""
        line = " · ".join(part for part in (status, f"{stage}{count}", note) if part)
        key = line if self._every_step else stage  # do not fill a log with every question
        if key != self._told:
            self._console.print(safe(line))
            self._told = key

    def __rich__(self) -> Any:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table.grid(padding=(0, 1))
        for row in self._stages.values():
            if row.failed:
                table.add_row("[red]✗[/red]", f"[bold]{safe(row.name)}[/bold]", "", "")
            elif row.seconds is not None:
                took = f"[dim]{row.seconds:.1f} s[/dim]" if row.seconds else ""
                table.add_row("[green]✓[/green]", safe(row.name), took, "")
            elif row.name == self._current:
                elapsed = f"[cyan]{time.monotonic() - row.started:.0f} s[/cyan]"
                bar: Any = ""
                if row.total:
                    bar = Table.grid(padding=(0, 1))
                    bar.add_row(ProgressBar(total=row.total, completed=row.done, width=24),
                                f"{row.done}/{row.total} {row.note}")  # fmt: skip
                table.add_row(
                    "[cyan]▸[/cyan]", f"[bold]{safe(row.name)}[/bold]", elapsed, bar or row.note
                )
            else:
                table.add_row(" ", f"[dim]{safe(row.name)}[/dim]", "", "")
        return table
