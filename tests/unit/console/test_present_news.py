"""What new advisories did, as lines of open pages: in words, each with an id of its own, and escaped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from brakeline.console.assets import load_assets
from brakeline.console.present_news import FRESH_MS, LINES, arrival_rows, finding_news, newest, news_lines, told
from brakeline.console.render import Renderer
from brakeline.console.samples import SAMPLES
from brakeline.core.days import DAY_MS
from brakeline.exposure.news import Arrival

NOW = 1_795_400_000_000
OPENED = Arrival(NOW - 12_000, "CVE-2031-1", ("curl", "libcurl"), 812, 0, 790)
CLOSED = Arrival(NOW - FRESH_MS, "CVE-2031-2", ("nginx",), 0, 31, 0)
EVIL = "<img src=x onerror=alert(1)>"


def test_one_arrival_in_words() -> None:
    assert told(OPENED) == "open on 812 endpoints, 790 of them patchable now"
    assert told(replace(OPENED, opened=1, patchable=0)) == "open on 1 endpoint, none of them patchable yet"
    assert told(CLOSED) == "closed on 31 endpoints"
    assert told(replace(CLOSED, opened=2)) == "open on 2 endpoints, none of them patchable yet; closed on 31 endpoints"
    assert newest((OPENED, CLOSED)) == "CVE-2031-1 in curl, libcurl: open on 812 endpoints, 790 of them patchable now"
    assert newest(()) == ""


def test_a_line_keeps_its_id_while_its_age_grows_and_is_new_for_minutes() -> None:
    now, later = (arrival_rows((OPENED, CLOSED), at) for at in (NOW, NOW + FRESH_MS))
    assert [row.id for row in now] == [row.id for row in later]
    assert [(row.fresh, row.ago) for row in now] == [(True, "12 s ago"), (False, "10 min ago")]
    assert not any(row.fresh for row in later)


def test_pages_about_something_else_show_the_last_day_alone() -> None:
    many = [replace(OPENED, cve=f"CVE-2031-{n}") for n in range(9)]
    assert len(news_lines(many, NOW)) == LINES
    assert news_lines([replace(OPENED, at_ms=NOW - DAY_MS)], NOW) == ()
    assert finding_news(many, (), NOW) == ()


def test_what_feeds_say_arrives_escaped_on_page_and_stream() -> None:
    renderer = Renderer(load_assets())
    view: Any = SAMPLES["vulnerabilities"]["rows"]
    evil = (replace(view.news[0], packages=EVIL), *view.news[1:])
    overview: Any = SAMPLES["overview"]["needs a person"]
    endpoint: Any = SAMPLES["endpoint"]["findings"]
    line = replace(overview.news[0], packages=EVIL, told=EVIL)
    for name, shown in (
        ("vulnerabilities", replace(view, news=evil, newest=EVIL)), ("overview", replace(overview, news=(line,))),
        ("endpoint", replace(endpoint, news=(line,))),
    ):  # fmt: skip
        message = renderer.message(name, shown)
        assert "<img" not in message
        assert "&lt;img src=x onerror=alert(1)&gt;" in message
