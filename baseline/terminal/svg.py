"""A small scatter or line plot as SVG text, which can be read, compared and embedded in a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 76, 24, 44, 56
FONT = "system-ui, -apple-system, 'Noto Sans KR', sans-serif"
INK, FAINT, MARK, BAR = "#1f2933", "#d5dbe1", "#1f6feb", "#8fb4ee"


@dataclass(frozen=True, slots=True)
class Point:
    """``half_width`` draws a vertical bar; ``hollow`` marks what does not compete (the base model)."""

    label: str
    x: float
    y: float
    half_width: float = 0.0
    hollow: bool = False


def scatter(points: Sequence[Point], title: str, x_name: str, y_name: str) -> str:
    """Return the whole SVG document. ``title`` is also its text alternative."""
    xs = [point.x for point in points] or [0.0]
    lows = [point.y - point.half_width for point in points] or [0.0]
    highs = [point.y + point.half_width for point in points] or [1.0]
    x_ticks, y_ticks = ticks(min(xs), max(xs)), ticks(min(lows), max(highs))
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def at_x(x: float) -> float:
        return LEFT + inner_width * (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])

    def at_y(y: float) -> float:
        return TOP + inner_height * (1 - (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0]))

    said = "; ".join(f"{p.label}: {p.x:g}, {p.y:.4f}" for p in points)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="{FONT}" font-size="12" fill="{INK}">',
        f"<title>{escape(title)}</title><desc>{escape(said)}</desc>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="24" font-size="15" font-weight="600">{escape(title)}</text>',
    ]
    for tick in x_ticks:
        parts.append(f'<path d="M{at_x(tick):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="{FAINT}"/>')
        parts.append(_text(at_x(tick), HEIGHT - BOTTOM + 18, "middle", _short(tick)))
    for tick in y_ticks:
        parts.append(f'<path d="M{LEFT} {at_y(tick):.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>')
        parts.append(_text(LEFT - 8, at_y(tick) + 4, "end", _short(tick)))
    parts.append(_text(LEFT + inner_width / 2, HEIGHT - 14, "middle", x_name))
    turned = f"translate(18 {TOP + inner_height / 2:.1f}) rotate(-90)"
    parts.append(f'<g transform="{turned}">{_text(0, 0, "middle", y_name)}</g>')
    taken: list[tuple[float, float, float]] = []
    for point in points:
        x, y = at_x(point.x), at_y(point.y)
        if point.half_width:
            top, bottom = at_y(point.y + point.half_width), at_y(point.y - point.half_width)
            parts.append(
                f'<path d="M{x:.1f} {top:.1f}V{bottom:.1f}" stroke="{BAR}" stroke-width="2"/>'
            )
        fill = "#ffffff" if point.hollow else MARK
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{MARK}" stroke-width="2"/>'
        )
        label_x, label_y, anchor = _room(x, y, point.label, taken)
        parts.append(_text(label_x, label_y, anchor, point.label))
    return "\n".join([*parts, "</svg>"]) + "\n"


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return two or more round numbers from at most ``low`` to at least ``high``."""
    if high - low <= 1e-6 * max(1.0, abs(low), abs(high)):  # one value
        span = max(0.1 * abs(low), 0.1)
        low, high = low - span / 2, high + span / 2
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _text(x: float, y: float, anchor: str, content: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'


def _room(
    x: float, y: float, label: str, taken: list[tuple[float, float, float]]
) -> tuple[float, float, str]:
    """Place a label next to its point without overlapping another label."""
    width = 6.6 * len(label)
    sides = [(10, 4, "start"), (-10, 4, "end")]
    sides += [(10, step, "start") for step in (-12, 20, -26, 34)]
    sides += [(-10, step, "end") for step in (-12, 20, -26, 34)]
    for dx, dy, anchor in sides:
        left = x + dx if anchor == "start" else x + dx - width
        fits = left > LEFT and left + width < WIDTH - 4
        free = all(abs(y + dy - other_y) > 13 or left + width < other_left or left > other_right
                   for other_left, other_right, other_y in taken)  # fmt: skip
        if fits and free:
            taken.append((left, left + width, y + dy))
            return x + dx, y + dy, anchor
    return x + 10, y + 4, "start"


def _short(value: float) -> str:
    """1200000 -> ``1.2M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
