"""Charts rendered by the server as SVG: geometry here, markup in ``leaderboard/_*.html``.

Only attributes, no ``style``, because the content security policy allows no inline styles.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.translation import get_language

from grader.checkpoint import describe
from grader.contest import Contest as Rules
from grader.protocol.documents import Tensor
from grader.schema import decode
from leaderboard.core.svg import WIDTH, Scale

register = template.Library()


@register.simple_tag
def current_phase(rules: Rules) -> dict[str, Any] | None:
    """The current phase, or the next, or the last one, with the next event."""
    now: datetime = timezone.now()
    for phase in sorted(rules.phases, key=lambda p: p.start):
        if now < phase.start:
            return {"phase": phase, "state": "ahead", "until": phase.start}
        if now < phase.end:
            return {"phase": phase, "state": "open", "until": phase.end}
    last = max(rules.phases, key=lambda p: p.end)
    return {"phase": last, "state": "over", "until": last.end}


# ── submission ──


@register.inclusion_tag("leaderboard/_size_by_group.html")
def tensor_groups(tensors: Sequence[Mapping[str, Any]], base_bytes: int) -> dict[str, Any]:
    """Bytes by kind of tensor, as a bar whose full length is the base model."""
    found = describe.parts(_tensors(tensors))
    total = sum(part.size_bytes for part in found)
    language = (get_language() or "en").startswith("ko")
    scale, at, parts = Scale(0, max(base_bytes, total)), 0, []
    for part in found:
        x = scale.at(at)
        at += part.size_bytes
        name = describe.PARTS[part.name][language]
        parts.append(
            {
                "key": part.name,
                "name": name[:1].upper() + name[1:],
                "size": part.size_bytes,
                "share": part.size_bytes / total,
                "dtypes": part.dtypes,
                "x": x,
                "width": round(scale.at(at) - x, 1),
            }
        )
    return {"parts": parts, "total": total, "base_bytes": base_bytes, "base": scale.at(base_bytes)}


@register.simple_tag
def savings(tensors: Sequence[Mapping[str, Any]]) -> tuple[describe.Saving, ...]:
    """What the checkpoint could still save."""
    return describe.savings(_tensors(tensors), tied=True)


def _tensors(stored: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    return [decode(Tensor, dict(tensor)) for tensor in stored]


@register.inclusion_tag("leaderboard/_speed_rounds.html")
def rounds(speed: Mapping[str, Any]) -> dict[str, Any]:
    """Every round's time for base and candidate, side by side: in a fair comparison, pairs stay steady."""
    pairs = speed["rounds"]
    times = [t for r in pairs for t in (r["base_s"], r["candidate_s"])]
    high = 1.08 * max(times)
    step = WIDTH / len(pairs)
    height = 240.0

    def dot(seconds: float, at: float, is_first: bool) -> dict[str, Any]:
        return {
            "x": round(at, 1),
            "y": round(height * (1 - seconds / high), 1),
            "s": seconds,
            "is_first": is_first,
        }

    columns = []
    for i, pair in enumerate(pairs):
        middle = (i + 0.5) * step
        left, right = middle - step / 8, middle + step / 8
        base_at, own_at = (left, right) if pair["base_first"] else (right, left)
        columns.append(
            {
                "number": i + 1,
                "base": dot(pair["base_s"], base_at, pair["base_first"]),
                "own": dot(pair["candidate_s"], own_at, not pair["base_first"]),
                "ratio": pair["base_s"] / pair["candidate_s"],
                "base_first": pair["base_first"],
            }
        )
    mean_base = sum(r["base_s"] for r in pairs) / len(pairs)
    mean_own = sum(r["candidate_s"] for r in pairs) / len(pairs)
    return {
        "columns": columns,
        "high": high,
        "base_y": round(height * (1 - mean_base / high), 1),
        "own_y": round(height * (1 - mean_own / high), 1),
        "mean_base": mean_base,
        "mean_own": mean_own,
        "ratio": math.exp(sum(math.log(c["ratio"]) for c in columns) / len(columns)),
    }


@register.inclusion_tag("leaderboard/_score_history.html")
def score_history(submissions: Sequence[Any]) -> dict[str, Any]:
    """A team's scores in order of entry; its best so far as a step line."""
    scored = [s for s in reversed(submissions) if s.shown]
    values = [s.shown.value for s in scored]
    if len(values) < 2:
        return {"dots": []}
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = WIDTH / (len(values) - 1)
    dots, best = [], 0.0
    line: list[str] = []
    for i, (row, value) in enumerate(zip(scored, values, strict=True)):
        x, y = round(i * step, 1), round(100 - 100 * (value - low) / span, 1)
        dots.append({"x": x, "y": y, "submission": row, "value": value})
        if not i or value > best:
            best = value
            line.append(f"{x},{line[-1].split(',')[1]}" if line else f"{x},{y}")
            line.append(f"{x},{y}")
    line.append(f"{WIDTH},{line[-1].split(',')[1]}")
    return {"dots": dots, "line": " ".join(line), "low": low, "high": high}
