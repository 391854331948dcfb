"""Charts as SVG, made on the server: they print, need no script and morph with the page.

Invariants: no `style=` (strict policy), colours by class; every chart has a title, a description in words and its
numbers as a table; a chart without data says so. Units: x = time since the first offer, y = percentage points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from brakeline.console.views_change import ExcessPoint, ExcessSeries

WIDTH, HEIGHT = 560, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 14, 12, 34
TABLE_ROWS_MAX = 60  # a table longer than that is read by nobody; first and last rows are kept
STEPS = (1, 2, 2.5, 5, 10)
UNITS = (("seconds", 1.0, 300), ("minutes", 60.0, 3 * 3600), ("hours", 3600.0, 3 * 86400), ("days", 86400.0, math.inf))


@dataclass(frozen=True, slots=True)
class Scale:
    """Linear map from data to picture units."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Picture coordinate of `value`, clipped to the frame."""
        inside = min(max(value, self.low), self.high)
        return round(self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def ticks(low: float, high: float, wanted: int = 6) -> tuple[float, ...]:
    """Round numbers from `low` to `high`, about `wanted` of them."""
    raw = (high - low) / wanted
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(s * size for s in STEPS if s * size >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(round(i * step, 10) for i in range(first, last + 1))


def points_text(value: float) -> str:
    """`+1.4`, `−0.5`, `0.0` with a real minus sign."""
    text = f"{abs(value):.1f}"
    return text if float(text) == 0 else ("+" if value > 0 else "−") + text


def describe(series: ExcessSeries) -> str:
    """The chart in one sentence, for those who do not see it."""
    if not series.points:
        return series.empty_reason
    last = series.points[-1]
    line = "no excess could halt it at these numbers"
    if last.brake is not None:
        line = f"{'above' if over(last) else 'below'} the brake line at {points_text(last.brake)}"
    return (
        f"With {last.exposed:,} treated endpoints the excess failure is {points_text(last.estimate)} points, "
        f"plausible from {points_text(last.low)} to {points_text(last.high)} ({series.band}); {line}."
    )


def over(point: ExcessPoint) -> bool:
    """Whether the estimate has reached the brake line."""
    return point.brake is not None and point.estimate >= point.brake


def excess_chart(series: ExcessSeries, chart_id: str = "excess") -> Markup:
    """Figure with picture and table of the excess failure; with no points, a sentence."""
    if not series.points:
        return Markup('<p class="nodata" id="{}-none"><span aria-hidden="true">?</span> no data: {}</p>').format(
            chart_id, series.empty_reason
        )
    return Markup('<figure class="chart" id="{}-figure">{}{}</figure>').format(
        chart_id, _picture(series, chart_id), _table(series, chart_id)
    )


def _scales(series: ExcessSeries) -> tuple[Scale, Scale]:
    steady = series.points[len(series.points) // 3 :]  # the first bands are so wide that they would hide the rest
    bound = max(2.0, *(abs(v) for p in steady for v in (p.low, p.high, p.estimate)))
    bound = max(bound, *(p.brake for p in steady if p.brake is not None), 0.0) * 1.08
    until = max(p.at_s for p in series.points)
    return Scale(0.0, max(until, 1.0), LEFT, WIDTH - RIGHT), Scale(-bound, bound, HEIGHT - BOTTOM, TOP)


def _picture(series: ExcessSeries, chart_id: str) -> Markup:
    x, y = _scales(series)
    shown = series.points if len(series.points) > 1 else (replace(series.points[0], at_s=0.0), series.points[0])
    up = " ".join(f"{x.at(p.at_s)},{y.at(p.high)}" for p in shown)
    down = " ".join(f"{x.at(p.at_s)},{y.at(p.low)}" for p in reversed(shown))
    line = " ".join(f"{x.at(p.at_s)},{y.at(p.estimate)}" for p in shown)
    brake = " ".join(f"{x.at(p.at_s)},{y.at(p.brake)}" for p in shown if p.brake is not None)
    last = shown[-1]
    parts = [
        f'<svg id="{chart_id}-svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-labelledby="{chart_id}-title {chart_id}-desc" class="excess{" over" if over(last) else ""}">',
        f'<title id="{chart_id}-title">Excess failure, treated minus control</title>',
        f'<desc id="{chart_id}-desc">{escape(describe(series))}</desc>',
        _frame(x, y),
        f'<polygon class="band" points="{up} {down}"/>',
        f'<polyline class="edge" points="{up}"/><polyline class="edge" points="{down}"/>',
        f'<polyline class="brakeline" points="{brake}"/>' if brake else "",
        f'<polyline class="estimate" points="{line}"/>',
        f'<circle class="last" cx="{x.at(last.at_s)}" cy="{y.at(last.estimate)}" r="3.5"/>',
        "</svg>",
    ]
    return Markup("".join(parts))  # noqa: S704 - every part is ours or escaped above


def time_unit(span_s: float) -> tuple[str, float]:
    """In what to count the time axis: name and seconds of the unit."""
    return next((name, size) for name, size, until_s in UNITS if span_s <= until_s)


def _frame(x: Scale, y: Scale) -> str:
    out: list[str] = []
    for value in ticks(y.low, y.high):
        at = y.at(value)
        out.append(f'<line class="gridline" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        out.append(f'<text class="tick" x="{LEFT - 8}" y="{at + 4}" text-anchor="end">{points_text(value)}</text>')
    unit, size = time_unit(x.high)
    for value in ticks(x.low, x.high / size):
        at = x.at(value * size)
        out.append(f'<line class="gridline" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        out.append(f'<text class="tick" x="{at}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:g}</text>')
    out.append(
        f'<text class="axis" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 3}" text-anchor="middle">'
        f"{unit} since the first offer</text>"
    )
    return "".join(out)


def _table(series: ExcessSeries, chart_id: str) -> Markup:
    shown = _thinned(series.points)
    unit, size = time_unit(series.points[-1].at_s)
    rows = Markup("").join(
        Markup("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>").format(
            f"{p.at_s / size:.1f}", f"{p.exposed:,}", points_text(p.estimate), points_text(p.low), points_text(p.high)
        )
        for p in shown
    )
    return Markup(
        '<details id="{}-details"><summary>Numbers</summary><div class="scroll" tabindex="0" role="region" '
        'aria-label="Numbers of the chart"><table class="list"><thead><tr><th scope="col">{}</th>'
        '<th scope="col">Treated</th>'
        '<th scope="col">Excess</th><th scope="col">From</th><th scope="col">To</th></tr></thead><tbody>{}</tbody>'
        "</table></div></details>"
    ).format(chart_id, unit.capitalize(), rows)


def _thinned(points: tuple[ExcessPoint, ...]) -> tuple[ExcessPoint, ...]:
    if len(points) <= TABLE_ROWS_MAX:
        return points
    step = math.ceil(len(points) / TABLE_ROWS_MAX)
    return (*points[:-1:step], points[-1])
