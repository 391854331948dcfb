"""What is refused, and what documents should say: the rules alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.releases.decide import (
    HOUR_MS,
    HOURS_BEGIN_MS,
    PARDON_LISTS,
    next_version,
    path_of,
    recall_list,
    recall_version,
    refuse_about,
    refuse_release,
    wanted_pardons,
    wanted_targets,
)
from brakeline.releases.faults import BadBundle, Downgrade, OtherHash, Quarantined
from brakeline.releases.model import Release
from brakeline.trust.artifacts import About
from brakeline.trust.statements import RECALLED_MAX

NOW_MS = 1_795_400_000_000
ABOUT = About("agent", "2.0.0", 2, "any", ("@python", "agent.pyz"))
TWO = Release("agent", "2.0.0", 2, "any", "agent/2.0.0/any/bundle.tar", "2" * 64, 100, NOW_MS)


def test_a_release_that_fits_is_not_refused() -> None:
    refuse_about(ABOUT, "2" * 64, {"agent.pyz"})
    refuse_about(replace(ABOUT, entry=("./agent",), platform="linux-x86_64"), "2" * 64, {"agent"})
    assert refuse_release(ABOUT, "2" * 64, ()) is None
    assert refuse_release(ABOUT, "2" * 64, (TWO,)) is TWO
    assert refuse_release(replace(ABOUT, version="2.1.0", sequence=3), "3" * 64, (TWO,)) is None
    assert refuse_release(replace(ABOUT, platform="linux-x86_64"), "3" * 64, (TWO,)) is None
    assert refuse_release(replace(ABOUT, product="launcher", sequence=1), "3" * 64, (TWO,)) is None
    assert path_of(ABOUT) == TWO.path


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (replace(ABOUT, product="browser"), "products are agent, launcher, content"),
        (replace(ABOUT, version="two"), "no version"),
        (replace(ABOUT, version="2/../../etc"), "no version"),
        (replace(ABOUT, platform="../any"), "no platform"),
        (replace(ABOUT, entry=("bin/agent",)), "not among its 1 files"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(said: About, says: str) -> None:
    with pytest.raises(BadBundle, match=says):
        refuse_about(said, "2" * 64, {"agent.pyz"})


@pytest.mark.parametrize(
    ("said", "sha256", "known", "fault"),
    [
        (ABOUT, "3" * 64, TWO, OtherHash),
        (replace(ABOUT, version="1.9", sequence=1), "3" * 64, TWO, Downgrade),
        (replace(ABOUT, version="2.0.1"), "3" * 64, TWO, Downgrade),
        (ABOUT, "2" * 64, replace(TWO, recalled_ms=1, recalled_reason="harm"), Quarantined),
        (ABOUT, "2" * 64, replace(TWO, withdrawn_ms=1), Quarantined),
        (replace(ABOUT, platform="linux-x86_64"), "3" * 64, replace(TWO, recalled_ms=1), Quarantined),
        (replace(ABOUT, version="1.9", sequence=1), "3" * 64, replace(TWO, recalled_ms=1), Downgrade),
    ],
)
def test_what_must_not_be_published_beside_what_is_there(
    said: About, sha256: str, known: Release, fault: type[Exception]
) -> None:
    with pytest.raises(fault):
        refuse_release(said, sha256, (known,))


def test_targets_list_what_is_published_and_here() -> None:
    content = replace(TWO, product="content", path="content/1/any/bundle.tar", sha256="c" * 64)
    known = (TWO, content, replace(TWO, path="x", withdrawn_ms=1), replace(TWO, path="y", sha256="9" * 64))
    have = {TWO.sha256, content.sha256}
    assert set(wanted_targets(known, "targets", have)) == {TWO.path}
    assert set(wanted_targets(known, "content", have)) == {content.path}
    recalled = replace(TWO, recalled_ms=1)  # a recall forbids by its own list; the signed file stays for a pardon
    assert set(wanted_targets((recalled,), "targets", have)) == {TWO.path}


def test_a_recall_ends_only_when_the_pardon_is_signed() -> None:
    recalled = replace(TWO, recalled_ms=5, recalled_reason="harm")
    pardoned = replace(TWO, pardoned_version=70, recalled_reason="harm")
    assert recall_list((recalled,), {}) == ((TWO.release_id, "harm"),)
    assert recall_list((pardoned,), {}) == ((TWO.release_id, "harm"),)
    assert recall_list((pardoned,), {TWO.release_id: 70}) == ()
    assert recall_list((recalled,), {TWO.release_id: 70}) == ((TWO.release_id, "harm"),)
    assert (wanted_pardons((recalled,)), wanted_pardons((pardoned,))) == ({}, {TWO.release_id: 70})


def test_the_list_has_no_more_than_endpoints_read_and_keeps_the_newest() -> None:
    many = tuple(replace(TWO, version=f"{n}.0", recalled_ms=n) for n in range(1, RECALLED_MAX + 3))
    listed = recall_list(many, {})
    assert len(listed) == RECALLED_MAX
    assert listed[0][0] == many[-1].release_id


def test_versions_rise_and_do_not_fall_behind_the_clock() -> None:
    hours = (NOW_MS - HOURS_BEGIN_MS) // HOUR_MS
    assert next_version(0, NOW_MS) == hours
    assert next_version(hours, NOW_MS) == hours + 1
    assert next_version(hours + 50, 0) == hours + 51  # a clock set back
    assert recall_version(9, 0, (TWO.release_id,), {TWO.release_id: PARDON_LISTS}) == PARDON_LISTS + 1
    assert recall_version(9, 0, ("other",), {TWO.release_id: PARDON_LISTS}) == 10
