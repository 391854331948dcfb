"""The chart of the excess failure: what it draws, says and lists, and what it does without data."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from brakeline.console.charts import describe, excess_chart, points_text, ticks, time_unit
from brakeline.console.samples_change import excess
from brakeline.console.views_change import ExcessPoint, ExcessSeries

finite = st.floats(-100, 100, allow_nan=False)
half = st.floats(0, 50)
rows = st.lists(st.tuples(st.floats(0, 10**6), finite, half, half, st.none() | finite), min_size=1, max_size=80)
points = rows.map(
    lambda r: tuple(ExcessPoint(t, 9, e, e - a, e + b, k) for t, e, a, b, k in sorted(r, key=lambda row: row[0]))
)


def test_no_data_is_said_and_never_drawn_as_calm() -> None:
    html = excess_chart(ExcessSeries((), "99 % band", "No treated endpoint yet."))
    assert "<svg" not in html
    assert "no data: No treated endpoint yet." in html


def test_title_description_and_table_say_what_the_picture_shows() -> None:
    html = str(excess_chart(excess(1365, 1.9, 33)))
    svg = re.search(r"<svg.*?</svg>", html, re.DOTALL)
    assert svg is not None
    root = ET.fromstring(svg.group())
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "excess-title excess-desc"
    assert "above the brake line" in "".join(root.itertext())
    assert html.count("<tr>") == 1 + len(excess(1365, 1.9, 33).points)
    assert "style=" not in html


def test_an_estimate_at_the_brake_line_changes_colour_and_words() -> None:
    calm = ExcessSeries((ExcessPoint(0, 10, 0.5, -1.0, 2.0, 1.0),), "99 % band")
    harm = ExcessSeries((ExcessPoint(0, 10, 1.5, 0.1, 3.0, 1.0),), "99 % band")
    assert 'class="excess"' in excess_chart(calm)
    assert 'class="excess over"' in excess_chart(harm)
    assert "below the brake line at +1.0" in describe(calm)
    assert "above the brake line at +1.0" in describe(harm)


@given(points)
def test_every_coordinate_is_inside_the_frame(found: tuple[ExcessPoint, ...]) -> None:
    html = str(excess_chart(ExcessSeries(found, "99 % band")))
    for pair in re.findall(r"(-?[\d.]+),(-?[\d.]+)(?=[ \"])", "".join(re.findall(r'points="[^"]*"', html))):
        assert 0 <= float(pair[0]) <= 560
        assert 0 <= float(pair[1]) <= 260


@given(finite, st.floats(0.01, 1000))
def test_ticks_are_inside_and_few(low: float, width: float) -> None:
    found = ticks(low, low + width)
    assert 1 <= len(found) <= 14
    assert all(low - 1e-6 <= t <= low + width + 1e-6 for t in found)


def test_where_no_excess_could_halt_no_line_is_drawn() -> None:
    html = str(excess_chart(ExcessSeries((ExcessPoint(0, 1, 0.0, -9.0, 9.0),), "95 % band")))
    assert "brakeline" not in html
    assert "no excess could halt it at these numbers" in html


def test_the_time_axis_has_round_units() -> None:
    assert [time_unit(s)[0] for s in (5, 299, 301, 7200, 86400, 10**6)] == [
        "seconds", "seconds", "minutes", "minutes", "hours", "days",
    ]  # fmt: skip


def test_points_have_a_sign_except_zero() -> None:
    assert [points_text(v) for v in (1.44, -0.46, 0.04, -0.04)] == ["+1.4", "−0.5", "0.0", "0.0"]


def test_a_long_series_keeps_first_and_last_row() -> None:
    html = str(excess_chart(excess(4000, 0.1, 10)))
    assert html.count("<tr>") <= 62
    assert "<td>4,000</td>" in html
