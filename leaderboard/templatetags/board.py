"""The board's rows: the geometry of their charts, and the rows themselves as HTML."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django import template
from django.template.defaultfilters import date

from leaderboard.board import columns
from leaderboard.board.columns import (
    COLUMNS,
    RANK,
    SCORE,
    SORTABLE,
    TEAM,
    Column,
    Screen,
    Sortable,
    Unit,
)
from leaderboard.board.listing import Arrangement
from leaderboard.board.ranking import Entry
from leaderboard.templatetags import numbers

register = template.Library()

UNITS: dict[Unit, Callable[[Any], str]] = {
    "share": numbers.percent,
    "bytes": numbers.filesize_si,
    "factor": numbers.speedup,
    "count": str,
    "time": lambda moment: date(moment, "Y-m-d"),
}
DIGITS_OF_CHANGE: dict[Unit, int] = {"share": 1}
STYLES: dict[Screen, str] = {"phone": "num", "tablet": "num wide", "desktop": "num wider"}


@register.simple_tag
def cells(entry: Entry) -> list[dict[str, Any]]:
    """An entry's figures as the table shows them, column by column."""
    return [cell(column, entry) for column in COLUMNS]


def cell(column: Column, entry: Entry) -> dict[str, Any]:
    value = column.value(entry)
    found = {"style": STYLES[column.screen], "text": UNITS[column.unit](value)}
    if column.of_teams and not entry.is_ranked:
        found["text"] = ""
    elif column.change:
        digits = DIGITS_OF_CHANGE.get(column.unit, 0)
        found["note"] = numbers.signed_percent(column.change(entry), digits)
    elif column.half_width:
        found["note"] = f"± {numbers.number(column.half_width(entry), 2)}"
    elif column.unit == "time":
        found["moment"] = date(value, "c")
    return found


@register.simple_tag
def pictures() -> list[tuple[str, str]]:
    """The chart's views: axes and name."""
    return [(",".join(axes), str(name)) for name, axes in columns.PICTURES]


@register.simple_tag
def picture_axes() -> str:
    """The chart's axes as JSON, for its script."""
    return json.dumps(columns.axes(), ensure_ascii=False)


@register.filter
def sort_name(arrangement: Arrangement) -> str:
    return str(SORTABLE[arrangement.sort].name)


@register.simple_tag
def heads(arrangement: Arrangement) -> dict[str, Any]:
    """Column headings: those that the template places, by key; the others as ``figures``."""
    own = {one.key: _head(arrangement, one) for one in (RANK, TEAM, SCORE)}
    own["rank"]["style"], own["score"]["style"], own["score"]["note"] = "rank", "score", "± 95 %"
    figures = [{**_head(arrangement, column), "style": STYLES[column.screen]} for column in COLUMNS]
    return {**own, "figures": figures}


def _head(arrangement: Arrangement, column: Sortable) -> dict[str, Any]:
    """Sort by the column, or reverse the order if it is already the sorted one."""
    is_sorted = arrangement.sort == column.key
    is_ascending = (column.best == "smallest") != arrangement.is_reversed
    turned = is_sorted and not arrangement.is_reversed
    return {
        "label": column.heading,
        "direction": ("ascending" if is_ascending else "descending") if is_sorted else "",
        "query": arrangement.query(sort=column.key, is_reversed=turned, page=1),
    }
