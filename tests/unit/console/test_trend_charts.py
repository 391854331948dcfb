"""The chart of counts over days: its words, its table, what it says without data; nothing of it is markup."""

from __future__ import annotations

from brakeline.console.samples_updates import TRENDS
from brakeline.console.trend_charts import DayChart, DayCounts, day_chart, describe

POINTS = (DayCounts("2026-11-01", 100, 3), DayCounts("2026-11-05", 40, 0))


def test_it_says_in_words_what_it_shows() -> None:
    chart = DayChart("x", "Open <b>", "open", "overdue", POINTS)
    assert describe(chart) == "From 2026-11-01 to 2026-11-05: open from 100 to 40, overdue from 3 to 0."
    html = day_chart(chart)
    assert "Solid: open. Dashed: overdue." in html
    assert "<b>" not in html
    assert '<th scope="row">2026-11-01</th>' in html
    assert "style=" not in html


def test_days_are_placed_by_the_calendar_and_not_by_their_count() -> None:
    gap = DayChart("x", "t", "a", "b", (*POINTS, DayCounts("2026-11-06", 30, 0)))
    line = str(day_chart(gap)).partition('class="estimate" points="')[2].partition('"')[0]
    at = [float(point.partition(",")[0]) for point in line.split()]
    assert (at[1] - at[0]) > 3.9 * (at[2] - at[1])


def test_one_day_is_no_line() -> None:
    assert "a line needs two days" in day_chart(DayChart("x", "t", "a", "b", POINTS[:1]))
    assert all("a line needs two days" in day_chart(c) for c in TRENDS["empty"].charts)


def test_zero_is_drawn_and_labels_are_few() -> None:
    html = str(day_chart(DayChart("x", "t", "a", "b", tuple(DayCounts(f"2026-11-{d:02}", 0, 0) for d in range(1, 31)))))
    assert html.count('class="tick"') < 15
    assert "NaN" not in html
