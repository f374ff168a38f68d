"""
Charts as SVG text for a page without scripts or outside links.

Colours are middle tones that read on a light and on a dark page, and lines differ by more than
colour where they must be told apart. A chart never stands alone: the page has the same figures in
a table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final, NamedTuple

WIDTH: Final = 560
HEIGHT: Final = 230
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 40
TICKS: Final = 5
SOFT, GRID = "#808996", "#80899640"


class Line(NamedTuple):
    """A line: its name, its colour, points by x, and whether it is dashed."""

    name: str
    colour: str
    points: Sequence[tuple[float, float]]
    is_dashed: bool = False


class Bar(NamedTuple):
    """A bar from `begin` to `end` on the x axis."""

    begin: float
    end: float
    height: float


def ticks(most: float) -> list[float]:
    """Round steps from 0 that reach at least `most`, about `TICKS` of them."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / TICKS
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * (1 - 1e-9))
    return [step * i for i in range(math.ceil(most / step - 1e-9) + 1)]


class _Frame:
    """Axes: the plane from 0 to the last tick of each."""

    def __init__(self, x_most: float, y_most: float, x_label: str, y_label: str) -> None:
        self.x_ticks, self.y_ticks = ticks(x_most), ticks(y_most)
        self.labels = (x_label, y_label)

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(value / self.x_ticks[-1], 1.0)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * min(value / self.y_ticks[-1], 1.0)

    def drawn(self, title: str, inside: str) -> str:
        """The whole picture."""
        parts = [
            (
                f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}" '
                f'font-size="11" fill="{SOFT}">'
            )
        ]
        for tick in self.y_ticks:
            y = self.y(tick)
            parts += (
                f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>',
                f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick:,g}</text>',
            )
        parts += (
            f'<text x="{self.x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">'
            f"{tick:,g}</text>"
            for tick in self.x_ticks
        )
        across, up = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
        for place, label in zip(
            (f"translate({across} {HEIGHT - 6})", f"translate(12 {up}) rotate(-90)"),
            self.labels,
            strict=True,
        ):
            parts.append(f'<text transform="{place}" text-anchor="middle">{escape(label)}</text>')
        parts += (inside, "</svg>")
        return "".join(parts)


def line_chart(title: str, lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Lines over a common x, with a legend if there is more than one."""
    points = [point for line in lines for point in line.points]
    frame = _Frame(
        max((x for x, _ in points), default=1.0),
        max((y for _, y in points), default=1.0),
        x_label,
        y_label,
    )
    inside = "".join(_polyline(frame, line) for line in lines)
    return _figure(title, frame.drawn(title, inside), lines if len(lines) > 1 else ())


def _polyline(frame: _Frame, line: Line) -> str:
    places = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in line.points)
    dashes = ' stroke-dasharray="5 4"' if line.is_dashed else ""
    return (
        f'<polyline fill="none" stroke="{line.colour}" stroke-width="2" stroke-linejoin="round"'
        f'{dashes} points="{places}"/>'
    )


def bar_chart(title: str, bars: Sequence[Bar], colour: str, x_label: str, y_label: str) -> str:
    """A histogram."""
    frame = _Frame(
        max((bar.end for bar in bars), default=1.0),
        max((bar.height for bar in bars), default=1.0),
        x_label,
        y_label,
    )
    inside = "".join(
        f'<rect fill="{colour}" x="{frame.x(bar.begin) + 0.5:.1f}" y="{frame.y(bar.height):.1f}" '
        f'width="{max(frame.x(bar.end) - frame.x(bar.begin) - 1, 1):.1f}" '
        f'height="{frame.y(0) - frame.y(bar.height):.1f}"/>'
        for bar in bars
    )
    return _figure(title, frame.drawn(title, inside), ())


def _figure(title: str, drawing: str, legend: Sequence[Line]) -> str:
    keys = "".join(
        f'<span><i style="border-top:3px {"dashed" if line.is_dashed else "solid"} '
        f'{line.colour}"></i>{escape(line.name)}</span>'
        for line in legend
    )
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>{drawing}"
        f'<div class="keys">{keys}</div></figure>'
    )


def ecdf(values: Sequence[float], points_max: int = 400) -> list[tuple[float, float]]:
    """Percent of values up to each value, as steps; thinned to about so many."""
    ordered = sorted(values)
    count = len(ordered)
    steps = min(points_max, count)
    points = [(0.0, 0.0)]
    for step in range(steps):
        place = math.ceil((step + 1) * count / steps)
        value = ordered[place - 1]
        points += ((value, points[-1][1]), (value, 100 * place / count))
    return points


def histogram(values: Sequence[float], bins: int = 24) -> list[Bar]:
    """Equal bins from 0 to the greatest value; a value on an edge belongs to the bin it begins."""
    if not values:
        return []
    width = (max(values) or 1.0) / bins
    counts = [0] * bins
    for value in values:
        counts[min(int(value / width), bins - 1)] += 1
    return [Bar(i * width, (i + 1) * width, count) for i, count in enumerate(counts)]
