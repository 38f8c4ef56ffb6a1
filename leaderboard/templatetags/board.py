"""The board's rows: the geometry of their pictures, and the rows themselves as HTML."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.translation import gettext_lazy as _

from leaderboard.board.listing import COLUMNS, Arrangement

register = template.Library()

SORT_NAMES = {
    "rank": _("rank"),
    "team": _("team"),
    "score": _("score"),
    "accuracy": _("accuracy"),
    "size": _("checkpoint size"),
    "speedup": _("speed-up"),
    "entries": _("number of entries"),
    "entered": _("time of entry"),
}


@register.filter
def sort_name(arrangement: Arrangement) -> str:
    return str(SORT_NAMES[arrangement.sort])


@register.inclusion_tag("leaderboard/_sortable_header.html")
def sort_link(
    arrangement: Arrangement, column: str, label: str, css: str = "", note: str = ""
) -> dict[str, Any]:
    """A column's head: sorts by it, or turns the order round when it is sorted by it already."""
    is_sorted = arrangement.sort == column
    smallest_first = COLUMNS[column][1] > 0
    direction = "ascending" if smallest_first != arrangement.is_reversed else "descending"
    turned = is_sorted and not arrangement.is_reversed
    return {
        "label": label,
        "class": css,
        "note": note,
        "direction": direction if is_sorted else "",
        "query": arrangement.query(sort=column, is_reversed=turned, page=1),
    }
