"""Filters and tags for the batch pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template
from django.middleware.csrf import get_token
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leaderboard.batches.measuring import FAILED
from leaderboard.batches.reviewing import Move
from leaderboard.models import Batch
from leaderboard.templatetags.numbers import MINUS, number

register = template.Library()

EFFECTS = {
    "nothing": gettext_lazy("no effect on scores"),
    "rescore": gettext_lazy("needs a rescore"),
    "regrade": gettext_lazy("needs a regrade"),
}
BUTTONS = {
    "start": gettext_lazy("Start"),
    "apply": gettext_lazy("Apply"),
    "cancel": gettext_lazy("Cancel batch"),
    "undo": gettext_lazy("Undo"),
    "retry": gettext_lazy("Retry"),
    "update": gettext_lazy("Include new entries"),
}
MAIN = ("start", "apply")
SIZE = 320


@register.filter
def effect_name(effect: str) -> str:
    return str(EFFECTS[effect])


@register.filter
def plain(value: Any) -> str:
    """A value from a contest file, for a table cell."""
    text = "–" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


@register.filter
def signed(value: float) -> str:
    """``+0.0123``, ``−0.0123``."""
    shown = number(value, 4)
    return shown if shown.startswith(MINUS) else f"+{shown}"


@register.filter
def arrow(move: Move) -> str:
    """``▲ 3``, ``▼ 2``, or that the team enters or leaves the board."""
    if move.old_rank is None:
        return _("enters")
    if move.new_rank is None:
        return _("leaves")
    return f"{'▲' if move.up > 0 else '▼'} {abs(move.up)}"


@register.filter
def medals(moves: Sequence[Move]) -> int:
    return sum(move.is_medal for move in moves)


@register.filter
def outcome_note(note: str) -> str:
    return _("could not be measured because of a system fault") if note == FAILED else note


@register.inclusion_tag("leaderboard/batches/_action_button.html", takes_context=True)
def batch_button(context: template.Context, batch: Batch, verb: str) -> dict[str, Any]:
    """A button that runs ``verb``."""
    token = get_token(context["request"])
    label = BUTTONS[verb]
    return {"batch": batch, "verb": verb, "label": label, "main": verb in MAIN, "token": token}


@register.inclusion_tag("leaderboard/batches/_score_scatter.html")
def score_scatter(points: Sequence[tuple[float, float]], noise: float) -> dict[str, Any]:
    """Old score on x, new score on y, on one scale; changes above the noise are highlighted."""
    values = [value for point in points for value in point] or [0.0, 1.0]
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def at(value: float) -> float:
        return round(SIZE * (value - low) / span, 1)

    dots = [(at(old), round(SIZE - at(new), 1), abs(new - old) > noise) for old, new in points]
    return {"dots": dots, "size": SIZE, "low": number(low, 3), "high": number(high, 3)}
