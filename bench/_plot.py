"""A line chart with logarithmic axes as SVG, for docs/measurements: readable in light and dark, no script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 70, 190, 40, 50
COLOURS = ("#3b6fd4", "#c2571a", "#2f8f5b", "#8a4fc7", "#b0283f")
STYLE = (
    "<style>text{font:13px system-ui,sans-serif;fill:#333}.g{stroke:#8884}.t{font-weight:600}"
    "@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>"
)


def chart(title: str, across: str, up: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """One line for each name; both axes logarithmic."""
    points = [point for line in lines.values() for point in line]
    low_x, high_x = (f(math.log10(x) for x, _ in points) for f in (min, max))
    powers = [math.log10(y) for _, y in points]
    low_y, high_y = math.floor(min(powers)), math.ceil(max(powers))

    def place(x: float, y: float) -> tuple[float, float]:
        inner_w, inner_h = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return (LEFT + inner_w * (math.log10(x) - low_x) / max(high_x - low_x, 1e-9),
                TOP + inner_h * (1 - (math.log10(y) - low_y) / max(high_y - low_y, 1)))  # fmt: skip

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">', STYLE,
           f"<title>{title}</title>", f'<text class="t" x="{LEFT + 40}" y="20">{title}</text>']  # fmt: skip
    for power in range(low_y, high_y + 1):
        x, y = place(10**low_x, 10.0**power)
        out += [f'<line class="g" x1="{x:.0f}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>',
                f'<text x="{x - 8:.0f}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>']  # fmt: skip
    for x_value in sorted({x for x, _ in points}):
        x, y = place(x_value, 10.0**low_y)
        out.append(f'<text x="{x:.0f}" y="{y + 20:.0f}" text-anchor="middle">{x_value:,.0f}</text>')
    ends = sorted((place(*line[-1])[1], name) for name, line in lines.items())
    labels, last = {}, -99.0
    for y, name in ends:
        last = labels[name] = max(y, last + 17)
    for colour, (name, line) in zip(COLOURS, lines.items(), strict=False):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line))
        label = f'x="{WIDTH - RIGHT + 8}" y="{labels[name] + 4:.1f}" style="fill:{colour}"'
        out += [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
                *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in (place(*p) for p in line)),
                f"<text {label}>{name}</text>"]  # fmt: skip
    out += [f'<text x="{LEFT}" y="{HEIGHT - 8}">{across}</text>',
            f'<text x="12" y="{TOP - 12}">{up}</text>', "</svg>"]  # fmt: skip
    return "\n".join(out) + "\n"
