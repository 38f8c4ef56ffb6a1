"""Filters and charts about workers for the desk."""

from __future__ import annotations

from typing import Any

from django import template

from leaderboard.models import AARun
from leaderboard.templatetags.numbers import filesize_si, stage_name

register = template.Library()
WIDTH, HEIGHT, MIDDLE = 120.0, 24.0, 12.0


@register.inclusion_tag("leaderboard/staff/_aa_sparkline.html")
def aa_sparkline(tests: list[AARun]) -> dict[str, Any]:
    """A worker's A/A ratios, oldest on the left: for each test, the shape whose ratio deviates most from 1."""
    ended = [test for test in reversed(tests) if test.outcomes]
    ratios = [max((o["ratio"] for o in test.outcomes), key=lambda r: abs(r - 1)) for test in ended]
    reach = max(0.02, *(abs(ratio - 1) for ratio in ratios), 0.0)
    step = WIDTH / max(1, len(ratios) - 1)
    points = [
        {
            "x": round(i * step if len(ratios) > 1 else WIDTH / 2, 1),
            "y": round(MIDDLE - (MIDDLE - 3) * (ratio - 1) / reach, 1),
            "passed": test.passed,
        }
        for i, (ratio, test) in enumerate(zip(ratios, ended, strict=True))
    ]
    return {
        "points": points,
        "line": " ".join(f"{p['x']},{p['y']}" for p in points),
        "latest": ratios[-1] if ratios else None,
        "n": len(ratios),
    }


@register.filter
def how_far(progress: dict[str, Any]) -> str:
    """``Speed 4/20`` from a progress document."""
    if not progress.get("stage"):
        return ""
    words = str(stage_name(progress["stage"]))
    if progress.get("total"):
        words += f" {progress['done']}/{progress['total']}"
    return words


@register.filter
def recorded(value: Any, name: str) -> str:
    """A value of a system record in words: sizes with their unit, versions and flags in a row."""
    if name.endswith("_bytes") and isinstance(value, int):
        return filesize_si(value)
    if isinstance(value, dict):
        return ", ".join(f"{key} {recorded(one, key)}" for key, one in value.items())
    if isinstance(value, list):
        return " ".join(str(one) for one in value)
    return str(value)
