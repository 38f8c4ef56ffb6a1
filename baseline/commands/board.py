"""``baseline board``: the ranking in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from baseline.commands.options import Contest, Json, SiteUrl, Token
from baseline.remote import credentials
from baseline.remote.client import Site
from baseline.terminal.errors import usage
from baseline.terminal.output import emit, json_wanted, out, safe, use_json
from baseline.terminal.tables import number

UNITS: dict[str, Callable[[float], str]] = {
    "bytes": lambda value: f"{value:,}",
    "count": lambda value: f"{value:,}",
    "factor": lambda value: f"×{value:.2f}",
    "share": lambda value: f"{100 * value:.1f} %",
}


def command(
    contest: Contest = "",
    top: Annotated[int, typer.Option(min=1, help="Entries to show.")] = 20,
    site: SiteUrl = "",
    token: Token = "",
    json_output: Json = False,
) -> None:
    """Show the leaderboard."""
    use_json(json_output)
    url, token = credentials.resolve(site, token, token_needed=False)
    if not contest:
        raise usage("CONTEST_MISSING", "Which contest?", "Give --contest ID.")
    with Site(url, token) as contest_site:
        document = contest_site.board(contest)
    if json_wanted():
        emit(document)
        return
    out().print(_table(document, top))


def _table(document: dict[str, Any], top: int) -> Any:
    from rich.table import Table

    entries = (document.get("entries") or [])[:top]
    names = (
        [str(term.get("name", "?")) for term in (entries[0].get("terms") or [])] if entries else []
    )
    columns = document.get("columns") or []
    headings = [safe(column.get("heading", "?")) for column in columns]
    table = Table(box=None, pad_edge=False)
    for heading in ("rank", "team", "score", "±", *map(safe, names), *headings):
        table.add_column(heading, justify="left" if heading == "team" else "right")
    for entry in entries:
        kind = str(entry.get("kind") or "team")
        team = safe(entry.get("team", "?")) + ("" if kind == "team" else f" ({safe(kind)})")
        team += " (under review)" if entry.get("held") else ""
        values = {str(term.get("name")): term.get("value") for term in entry.get("terms") or []}
        table.add_row(
            str(entry.get("rank") or "-"), team, number(entry.get("score")),
            number(entry.get("half_width")), *(number(values.get(name)) for name in names),
            *(_figure(entry.get(column.get("field")), column.get("unit")) for column in columns),
        )  # fmt: skip
    return table


def _figure(value: object, unit: str | None) -> str:
    """Format a figure in the site's unit. Figures with an unknown unit are shown unchanged."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return UNITS.get(unit or "", number)(value)
    return "-" if value is None else safe(value)
