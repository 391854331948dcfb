"""What is taken in, and what a deployment by name may bring: pure."""

from __future__ import annotations

from dataclasses import replace

from tests.ownpackages import artifact, package, signed

from brakeline.catalog.decide import asks_for_own, contents, entry_of, newest, offered, refusal, standing
from brakeline.protocol.messages import PendingUpdate, UpdateState
from brakeline.remediation.planner import newer


def test_a_version_never_changes_and_somebody_has_signed() -> None:
    first = signed(package())
    known = [entry_of(first, 1, "Ann")]
    assert refusal(first, known) == ""
    assert "a version never changes" in refusal(signed(package(title="other")), known)
    assert "nobody's signature" in refusal(replace(first, signatures=()), [])
    assert "title is a line" in refusal(signed(package(title="")), [])


def test_the_newest_that_stands() -> None:
    entries = [entry_of(signed(package(version=v)), 1, "Ann") for v in ("1.9", "1.10", "2")]
    entries[2] = replace(entries[2], withdrawn_ms=5, withdrawn_by="Bob", withdrawn_reason="no")
    assert newest(entries)["payroll"].version == "1.10"
    chosen, left = contents(entries)
    assert [e.version for e in chosen] == ["1.9", "1.10"]
    assert left == {"payroll 2": "Withdrawn by Bob: no. No further content and no new deployment has it."}


def test_what_waits_for_its_artifact_is_in_no_content_and_says_so() -> None:
    entry = entry_of(signed(package(artifact=artifact(b"x"))), 1, "Ann")
    assert not entry.complete
    assert "Its artifact data.bin is not here yet" in standing(entry)
    (told,) = offered([entry], (), (), frozenset({"payroll:own"}), "linux")
    assert (told.state, told.reason) == (UpdateState.KEPT_BACK, "its artifact data.bin was not uploaded")
    by_address = entry_of(signed(package(artifact=artifact(b"x", url="https://example.org/x"))), 1, "Ann")
    assert by_address.complete


def test_what_nobody_asked_for_by_name_is_brought_to_nobody() -> None:
    entry = entry_of(signed(package()), 1, "Ann")
    waits = PendingUpdate("curl", "amd64", "1", "2", "s", True, UpdateState.AVAILABLE)
    assert offered([entry], (waits,), (), frozenset({"curl"}), "linux") == (waits,)
    assert asks_for_own(["curl", "payroll:own"])
    assert not asks_for_own(["curl", "black:pypi-black", "own"])


def test_own_versions_are_compared_in_one_way_on_every_system() -> None:
    for manager in ("apt", "dnf", "pacman"):
        assert newer(manager, "payroll:own", "2.0+aaaaaaaaaaaa", "2.0~rc1+bbbbbbbbbbbb")
        assert newer(manager, "payroll:own", "1.10+aaaaaaaaaaaa", "1.9+ffffffffffff")
