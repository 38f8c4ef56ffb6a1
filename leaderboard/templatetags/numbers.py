"""Filters that format numbers and names for people. Small, typed, without HTML."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django import template
from django.utils.timesince import timesince
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _

from grader.problems.catalogue import Fault, Stage
from leaderboard.models import Evaluation

register = template.Library()

MINUS = "\N{MINUS SIGN}"
THIN = "\N{NO-BREAK SPACE}"

STAGES = {
    Stage.UPLOAD: gettext_lazy("Upload"),
    Stage.CHECK: gettext_lazy("Check"),
    Stage.WAIT: gettext_lazy("Queue"),
    Stage.FETCH: gettext_lazy("Fetch"),
    Stage.LOAD: gettext_lazy("Load"),
    Stage.QUALITY: gettext_lazy("Accuracy"),
    Stage.SPEED: gettext_lazy("Speed"),
    Stage.SCORE: gettext_lazy("Score"),
}
FAULTS = {
    Fault.TEAM: gettext_lazy("for the team to fix"),
    Fault.SYSTEM: gettext_lazy("for the organizers to fix"),
    Fault.NOTICE: gettext_lazy("notice only"),
}
TERMS = {
    "accuracy": gettext_lazy("Accuracy"),
    "memory": gettext_lazy("Memory"),
    "speed": gettext_lazy("Speed"),
}


@register.filter
def text(owner: Any, name: str) -> str:
    """``owner.name`` in the reader's language, for ``contest.Text`` and a problem's sentences."""
    return str(getattr(owner, name)(get_language() or "en"))


@register.filter
def spoken(words: Mapping[str, str] | None) -> str:
    """The reader's language of a sentence in several languages."""
    return (words or {}).get("ko" if (get_language() or "en").startswith("ko") else "en", "")


@register.filter
def get(mapping: Mapping[str, Any] | None, key: str) -> Any:
    """``mapping[key]``, or None."""
    return mapping.get(key) if mapping else None


@register.filter
def number(value: float | None, digits: int = 2) -> str:
    """Fixed decimals with a true minus sign; a dash for None."""
    if value is None or not math.isfinite(value):
        return "–"
    shown = f"{abs(value):,.{digits}f}"
    is_negative = value < 0 and any(c in "123456789" for c in shown)
    return MINUS + shown if is_negative else shown


@register.filter
def score(value: float | None) -> str:
    """A score as on the board: four decimals."""
    return number(value, 4)


@register.filter
def short(value: float) -> str:
    """A weight or a limit without trailing zeros: ``0.5``, ``60``."""
    return f"{value:g}".replace("-", MINUS)


@register.filter
def percent(share: float | None, digits: int = 1) -> str:
    """``41.3 %`` for 0.413."""
    return "–" if share is None else f"{number(100 * share, digits)}{THIN}%"


@register.filter
def signed_percent(change: float | None, digits: int = 0) -> str:
    """``−62 %`` for −0.62; always with a sign."""
    if change is None:
        return "–"
    shown = number(100 * change, digits)
    if not any(c in "123456789" for c in shown):
        return f"±{shown}{THIN}%"
    return f"{shown if shown.startswith(MINUS) else '+' + shown}{THIN}%"


@register.filter
def signed_points(change: float | None, digits: int = 1) -> str:
    """``−1.9 pp``: the difference of two percentages."""
    return signed_percent(change, digits).replace("%", _("pp"))


@register.filter
def minus_from_one(value: float) -> float:
    """1 − value."""
    return 1 - value


@register.filter
def absolute(value: int) -> int:
    return abs(value)


@register.filter
def speedup(value: float | None) -> str:
    """``×1.42``."""
    return "–" if value is None else f"×{number(value, 2)}"


@register.filter
def filesize_si(size_bytes: float | None) -> str:
    """``9.1 MB``: powers of 1000, as on a data sheet."""
    if size_bytes is None:
        return "–"
    value = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 999.5 or unit == "GB":
            break
        value /= 1000
    digits = 0 if unit == "B" or abs(value) >= 99.5 else 1 if abs(value) >= 9.95 else 2
    return f"{number(value, digits)}{THIN}{unit}"


@register.filter
def duration(seconds: float | None) -> str:
    """``1 min 38 s``."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return _("%(s)s s") % {"s": number(seconds, 1)}
    whole = round(seconds)
    if whole < 60:
        return _("%(s)s s") % {"s": whole}
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return _("%(m)d min %(s)02d s") % {"m": minutes, "s": rest}
    hours, minutes = divmod(minutes, 60)
    return _("%(h)d h %(m)02d min") % {"h": hours, "m": minutes}


@register.filter
def about(seconds: float) -> str:
    """A forecast: ``4 s``, ``12 min``, ``2 h``; rounded to suit its uncertainty."""
    if seconds < 60:
        return _("%(s)s s") % {"s": max(1, round(seconds))}
    minutes = round(seconds / 60)
    if minutes < 90:
        return _("%(m)d min") % {"m": minutes}
    return _("%(h)d h") % {"h": round(minutes / 60)}


@register.filter
def age(moment: datetime) -> str:
    """``2 days ago``: the largest unit only."""
    return _("%(time)s ago") % {"time": timesince(moment, depth=1)}


@register.filter
def stage_name(stage: str) -> str:
    return str(STAGES[Stage(stage)])


@register.filter
def status_name(status: str) -> str:
    known = (
        status in Evaluation.Status.values
    )  # a batch's review also counts entries without a verdict
    return str(Evaluation.Status(status).label) if known else status


@register.filter
def state_name(evaluation: Evaluation) -> str:
    """The status in words, distinguishing the two ways of being queued."""
    if evaluation.status == Evaluation.Status.QUEUED:
        return _("Waiting") if evaluation.is_checked else _("Being checked")
    return status_name(evaluation.status)


@register.filter
def fault_name(fault: str) -> str:
    return str(FAULTS[Fault(fault)])


@register.filter
def term_name(name: str) -> str:
    return str(TERMS[name])


@register.filter
def counted(terms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The terms that the formula counts: those with a weight above zero."""
    return [term for term in terms if term["weight"] > 0]


@register.filter
def scheme_words(scheme: str) -> str:
    """A quantization scheme in words: ``W4A16 g128`` → 4-bit weights, 16-bit activations, …"""
    words: list[str] = []
    if found := re.search(r"W(\d+)A(\d+)", scheme):
        words.append(_("%(n)s-bit weights") % {"n": found[1]})
        words.append(_("%(n)s-bit activations") % {"n": found[2]})
    if re.search(r"\bFP8\b", scheme, re.I):
        words.append(_("8-bit floating point"))
    if re.search(r"\bINT8\b", scheme, re.I):
        words.append(_("8-bit integers"))
    if found := re.search(r"\bg(\d+)\b", scheme):
        size = int(found[1])
        words.append(
            ngettext("one scale per weight", "one scale per %(n)d weights", size) % {"n": size}
        )
    if re.fullmatch(r"bf16|bfloat16|fp16|float16|fp32|float32", scheme, re.I):
        words.append(_("not quantized"))
    return ", ".join(words)
