"""Scales for charts drawn as SVG."""

from __future__ import annotations

WIDTH = 1000.0  # of every stretched chart, in its own units


class Scale:
    """A linear map from values to the chart's width."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.span = low, (high - low) or 1.0

    def at(self, value: float) -> float:
        return round(WIDTH * min(1.0, max(0.0, (value - self.low) / self.span)), 1)
