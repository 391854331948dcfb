"""Counts over days as SVG, made on the server: one solid line and one dashed, told apart by word, not colour alone.

As `charts`: no `style=`, a title, a description in words, the numbers as a table; without two days a sentence. A day on
which nobody looked is missing: the line goes on to the next one that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from brakeline.console.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Scale, ticks
from brakeline.core.days import number

LABELS_MAX: Final = 6  # days named below the picture
ROWS_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class DayCounts:
    """One day with its two counts."""

    day: str
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class DayChart:
    """`first` is drawn solid, `second` dashed."""

    id: str
    title: str
    first: str
    second: str
    points: tuple[DayCounts, ...]


def describe(chart: DayChart) -> str:
    """The chart in one sentence."""
    old, new = chart.points[0], chart.points[-1]
    return (
        f"From {old.day} to {new.day}: {chart.first} from {old.first:,} to {new.first:,}, {chart.second} from "
        f"{old.second:,} to {new.second:,}."
    )


def day_chart(chart: DayChart) -> Markup:
    """Figure with picture and table; with fewer than two days, a sentence."""
    if len(chart.points) < 2:
        return Markup('<p class="nodata" id="{}-none"><span aria-hidden="true">?</span> {}</p>').format(
            chart.id, "no data yet: a line needs two days"
        )
    return Markup('<figure class="chart" id="{}-figure">{}<figcaption>{}</figcaption>{}</figure>').format(
        chart.id, _picture(chart), f"Solid: {chart.first}. Dashed: {chart.second}.", _table(chart)
    )


def _picture(chart: DayChart) -> Markup:
    days = [number(p.day) for p in chart.points]
    x = Scale(days[0], days[-1], LEFT, WIDTH - RIGHT)
    highest = max(1, *(max(p.first, p.second) for p in chart.points))
    y = Scale(0, highest * 1.08, HEIGHT - BOTTOM, TOP)

    def line(values: Sequence[int]) -> str:
        return " ".join(f"{x.at(day)},{y.at(value)}" for day, value in zip(days, values, strict=True))

    parts = [
        f'<svg id="{chart.id}-svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" class="excess" '
        f'aria-labelledby="{chart.id}-title {chart.id}-desc">',
        f'<title id="{chart.id}-title">{escape(chart.title)}</title>',
        f'<desc id="{chart.id}-desc">{escape(describe(chart))}</desc>',
        *(_grid(y.at(value), f"{value:,.0f}") for value in ticks(0, y.high) if value == int(value)),
        *(_label(x.at(number(p.day)), p.day[5:]) for p in _some(chart.points)),
        f'<polyline class="estimate" points="{line([p.first for p in chart.points])}"/>',
        f'<polyline class="brakeline" points="{line([p.second for p in chart.points])}"/>',
        "</svg>",
    ]
    return Markup("".join(parts))  # noqa: S704 - every part is ours or escaped above


def _grid(at: float, text: str) -> str:
    return (
        f'<line class="gridline" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{at + 4}" text-anchor="end">{text}</text>'
    )


def _label(at: float, text: str) -> str:
    return f'<text class="tick" x="{at}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{escape(text)}</text>'


def _some(points: tuple[DayCounts, ...]) -> tuple[DayCounts, ...]:
    step = max(1, -(-(len(points) - 1) // (LABELS_MAX - 1)))
    return points[::step]


def _table(chart: DayChart) -> Markup:
    step = -(-len(chart.points) // ROWS_MAX)
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th><td class="num">{}</td><td class="num">{}</td></tr>').format(
            p.day, f"{p.first:,}", f"{p.second:,}"
        )
        for p in chart.points[::-1][::step]
    )
    return Markup(
        '<details id="{}-details"><summary>Numbers</summary><div class="scroll" tabindex="0" role="region" '
        'aria-label="Numbers of {}"><table class="list"><thead><tr><th scope="col">Day</th>'
        '<th scope="col" class="num">{}</th><th scope="col" class="num">{}</th></tr></thead><tbody>{}</tbody></table>'
        "</div></details>"
    ).format(chart.id, chart.title, chart.first.capitalize(), chart.second.capitalize(), rows)
