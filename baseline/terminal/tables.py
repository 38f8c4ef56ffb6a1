"""Shows submissions, problems and terms to people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from baseline.terminal.output import safe

PLACES = 6  # shown for one problem; --json has all of them
MARKS = {"scored": "green", "rejected": "red", "failed": "red", "cancelled": "yellow"}


def submission(console: Console, document: dict[str, Any]) -> None:
    status = safe(document.get("status", "?"))
    colour = MARKS.get(status, "cyan")
    console.print(
        f"Submission {safe(document.get('id', '?'))}: [{colour}]{status}[/{colour}]"
        f"{f' ({safe(stage)})' if (stage := document.get('stage')) and status not in MARKS else ''}"
    )
    problems(console, document.get("problems") or [])
    if document.get("score") is not None:
        half = document.get("half_width")
        console.print(f"Score [bold]{number(document['score'])}[/bold]"
                      f"{f' ± {number(half)}' if half is not None else ''}")  # fmt: skip
        terms(console, document.get("terms") or [])
    if document.get("url"):
        console.print(f"[dim]{safe(document['url'])}[/dim]")


def problems(console: Console, found: list[dict[str, Any]]) -> None:
    """Print one block per code: message, locations (and details), what to do."""
    by_code: dict[str, list[dict[str, Any]]] = {}
    for problem in found:
        by_code.setdefault(str(problem.get("code", "?")), []).append(problem)
    for code, group in by_code.items():
        alone = group[0] if len(group) == 1 else {}
        where = f" {alone['where']}" if alone.get("where") else ""
        detail = f" ({alone['detail']})" if alone.get("detail") else ""
        console.print(
            f"[bold red]{safe(code)}[/bold red]{safe(where)}: "
            f"{safe(str(group[0].get('sentence', '')) + detail)}"
        )
        for one in group[:PLACES] if len(group) > 1 else ():
            console.print(
                f"  {safe(' '.join(filter(None, (one.get('where'), one.get('detail')))))}"
            )
        if len(group) > PLACES:
            console.print(f"  … and {_rest(group)} more")
        if group[0].get("hint"):
            console.print(f"  [bold]→[/bold] {safe(group[0]['hint'])}")


def _rest(group: list[dict[str, Any]]) -> int:
    """Count the locations not shown, plus those the grader itself only counted (its last line, "+56")."""
    last = group[-1]
    counted = str(last.get("detail") or "")
    folded = not last.get("where") and counted[:1] == "+" and counted[1:].isdigit()
    return len(group) - PLACES + (int(counted[1:]) - 1 if folded else 0)


def terms(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print weight × value = points, per term."""
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("term")
    for heading in ("weight", "value", "±", "points"):
        table.add_column(heading, justify="right")
    for row in rows:
        name = safe(row.get("name", "?")) + (" (capped)" if row.get("capped") else "")
        table.add_row(name, number(row.get("weight"), 2), number(row.get("value")),
                      number(row.get("half_width")), number(row.get("points")))  # fmt: skip
    console.print(table)


def number(value: object, digits: int = 4) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "-"
