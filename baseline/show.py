"""How submissions, problems and terms look to people."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from baseline.output import safe

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
    """One block per problem: code, where, sentence, detail, what to do."""
    for problem in found:
        where = f" {problem['where']}" if problem.get("where") else ""
        detail = f" ({problem['detail']})" if problem.get("detail") else ""
        console.print(
            f"[bold red]{safe(problem.get('code', '?'))}[/bold red]{safe(where)}: "
            f"{safe(str(problem.get('sentence', '')) + detail)}"
        )
        if problem.get("hint"):
            console.print(f"  [bold]→[/bold] {safe(problem['hint'])}")


def terms(console: Console, rows: list[dict[str, Any]]) -> None:
    """weight × value = points, per term."""
    if not rows:
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("term")
    for heading in ("weight", "value", "±", "points"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(safe(row.get("name", "?")), number(row.get("weight"), 2), number(row.get("value")),
                      number(row.get("half_width")), number(row.get("points")))  # fmt: skip
    console.print(table)


def number(value: object, digits: int = 4) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "-"
