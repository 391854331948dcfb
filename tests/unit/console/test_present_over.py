"""What is typed of a lead of updates or of a release, and what is said of it before it is drafted."""

from __future__ import annotations

import shlex

import pytest

from brakeline.console import present_over
from brakeline.console.samples_over import CHANGE, FORM, JOINED, TWO, led, offered
from brakeline.console.views_change import DeploymentForm
from brakeline.console.views_over import OverForm
from brakeline.core.errors import Invalid
from brakeline.rollout.model import Change, Pin
from brakeline.rollout.pace import BY_RISK

CURL, CURL_OLD, SSL = Pin("curl", "8.9-1"), Pin("curl", "8.8-1"), Pin("libssl3", "3.0.17")


def typed(text: str, selection: str = "names") -> tuple[tuple[Pin, ...], tuple[str, ...]]:
    return present_over.named(DeploymentForm(selection=selection, names=text))


def test_all_cells_are_ticked_until_somebody_has_chosen() -> None:
    assert [c.chosen for c in offered(OverForm()).cells] == [True, True, True]
    assert [c.chosen for c in offered(TWO).cells] == [True, True, False]
    assert [c.chosen for c in offered(OverForm(over=True)).cells] == [False, False, False]
    assert not present_over.offer((), TWO).over, "where nobody is conducted there is no such choice"


@pytest.mark.parametrize(
    ("cells", "why"),
    [((), "tick at least one"), (("paris-1",), "no cell 'paris-1' has joined"), (("oslo-1", "oslo-1"), "opens once")],
)
def test_cells_that_cannot_be_meant_are_named(cells: tuple[str, ...], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        present_over.meant(OverForm(over=True, cells=cells), JOINED)


def test_names_with_and_without_a_version_are_told_apart() -> None:
    assert typed("curl=8.9-1 libssl3, tzdata,less") == ((CURL,), ("libssl3", "tzdata", "less"))
    assert typed("brew:tool=1.2,345") == ((Pin("brew:tool", "1.2,345"),), ())
    assert typed("CVE-2026-1", "cve") == ((), ("CVE-2026-1",))
    assert typed("curl=8.9-1", "security") == ((), ()), "typed for another choice"
    for wrong in ("=8.9", "curl="):
        with pytest.raises(Invalid, match="NAME=VERSION"):
            typed(wrong)
    with pytest.raises(Invalid, match="NAME=VERSION"):
        typed("CVE-2026-1=2", "cve")


def test_each_update_is_led_at_one_version_that_is_known() -> None:
    assert present_over.pinned([CURL], [SSL], ["libssl3"]) == (CURL, SSL)
    assert present_over.pinned([CURL], [CURL], ()) == (CURL,)
    for typed_, found, names, why in (
        ([CURL], [CURL_OLD], (), "curl is named with two versions"),
        ([], [SSL], ["libssl3", "tzdata"], "tzdata=VERSION"), ([], [], (), "there is no version to lead"),
    ):  # fmt: skip
        with pytest.raises(Invalid, match=why):
            present_over.pinned(typed_, found, names)


def test_by_risk_is_careful_over_cells_and_says_so() -> None:
    assert [present_over.pace_of(p) for p in ("", BY_RISK, "fast")] == ["careful", "careful", "fast"]
    with pytest.raises(Invalid, match="no pace 'hasty'"):
        present_over.pace_of("hasty")
    assert "so over cells it is careful" in led(DeploymentForm(over=TWO)).notes[0]
    assert "second person agrees" in led(DeploymentForm(policy="fast", over=TWO)).notes[0]


def test_what_is_seen_travels_with_the_form_and_is_the_same_command() -> None:
    seen = led(FORM, Change((CURL, SSL), title="curl; rm -rf /", exploited=True))
    words = shlex.split(seen.command)
    assert words[:4] == ["brakeline", "lead", "create", "curl; rm -rf /"]
    assert words[4:] == ["--update", "curl=8.9-1", "--update", "libssl3=3.0.17", "--filter", "os:debian", "--exploited",
                         "--cell", "berlin-1", "--cell", "dallas-1", "--pace", "careful"]  # fmt: skip
    fields = dict(seen.fields)
    assert (fields["cells"], fields["filter"]) == ("berlin-1 dallas-1", "os:debian")
    assert fields["digest"] != present_over.digest(CHANGE)
    assert any("nobody is held out" in n for n in seen.notes)


def test_many_updates_are_counted_and_named_by_the_first() -> None:
    pins = tuple(Pin(f"lib{i:03}", "1.0") for i in range(60))
    seen = led(FORM, Change(pins, title=present_over.title_of(pins)))
    assert (len(seen.what), seen.more, seen.command) == (40, 20, "")
    assert present_over.title_of(pins) == "lib000 1.0, lib001 1.0, lib002 1.0 and 57 more"
    assert len(present_over.title_of([Pin("x" * 300, "1")])) <= 120
