"""Apple's softwareupdate, a stand-in for it: *not run on the real system*. What the contract's suite does not ask."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.aptroot import order
from tests.macstandin import Mac, mac

from brakeline.agent.providers.macos.tool import NoAnswer
from brakeline.agent.providers.model import Bounds, Planned, Refreshed, Refused
from brakeline.protocol.messages import Outcome, UpdateRef, UpdateState

TOOLS = "Command Line Tools for Xcode"
NAME = "Command-Line-Tools-for-Xcode"
long = pytest.mark.long


@pytest.fixture
def box(tmp_path: Path) -> Mac:
    made = mac(tmp_path / "mac")
    made.change(history=[[TOOLS, "16.0"], ["macOS Sequoia 15.4", "15.4"]])
    return made


def ready(box: Mac) -> None:
    assert isinstance(box.provider.refresh(), Refreshed)


def plan(box: Mac, name: str, version: str, bounds: Bounds | None = None) -> Planned | Refused:
    return box.provider.plan((UpdateRef(name, version),), bounds or Bounds())


def test_exact_label_and_never_a_restart_of_its_own(box: Mac) -> None:
    box.publish(TOOLS, "16.2", label="Command Line Tools for Xcode-16.2")
    box.publish("macOS Sequoia 15.5", "15.5", label="macOS Sequoia 15.5-24F74", Action="restart")
    ready(box)
    waits = {u.name: u for u in box.provider.available()}
    assert {p.name: p.version for p in box.provider.inventory()} == {NAME: "16.0", "macOS": "15.4"}
    assert (waits["macOS"].state, "restarts the Mac" in waits["macOS"].reason) == (UpdateState.KEPT_BACK, True)
    refused = plan(box, "macOS", "15.5")
    assert isinstance(refused, Refused)
    assert (refused.code, "device management" in refused.reason) == ("refused", True)
    made = plan(box, NAME, "16.2")
    assert isinstance(made, Planned)
    assert made.way_back.startswith("no way back")
    result = box.provider.apply(order(made.transaction), lambda _: None)
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result.detail
    assert result.way_back is not None
    assert result.way_back.code == "gone"
    assert [w for w in box.said() if "--install" in w] == ["--install --no-scan Command Line Tools for Xcode-16.2"]
    changed = " ".join(w for w in box.said() if "--history" not in w)
    assert not any(word in changed for word in ("--restart", "--all", "--force", " -R", " -a"))


def test_what_was_never_installed_here_is_told_with_why_it_is_not_installed(box: Mac) -> None:
    """Nobody has told which version would be replaced, and an order names one."""
    box.publish("Safari", "18.4")
    box.publish(TOOLS, "16.2")
    ready(box)
    waits = {u.name: u for u in box.provider.available()}
    assert (waits["Safari"].state, waits["Safari"].installed) == (UpdateState.KEPT_BACK, "")
    assert "has never installed it here" in waits["Safari"].reason
    assert waits[NAME].state is UpdateState.AVAILABLE
    refused = plan(box, "Safari", "18.4")
    assert isinstance(refused, Refused)
    assert (refused.code, refused.reason.startswith("Safari: softwareupdate has never")) == ("refused", True)
    both = box.provider.plan((UpdateRef("Safari", "18.4"), UpdateRef(NAME, "16.2")), Bounds())
    assert isinstance(both, Planned)
    assert [a.name for a in both.transaction.actions] == [NAME]
    assert both.skipped == ("Safari was never installed here by softwareupdate",)
    unknown = plan(box, "Pages", "14")
    assert isinstance(unknown, Refused)
    assert unknown.code == "nothing_to_do"


@long
def test_two_versions_of_one_name_are_one_update_and_either_may_be_ordered(box: Mac) -> None:
    """A Mac lists the next system beside what mends its own; of one name an inventory has one update."""
    box.publish(f"{TOOLS} 16.10", "16.10")
    box.publish(f"{TOOLS} 16.9", "16.9")
    box.publish("macOS Sequoia 15.5", "15.5", Action="restart")
    box.publish("macOS Sonoma 14.8", "14.8", Action="restart")
    ready(box)
    assert sorted((u.name, u.candidate) for u in box.provider.available()) == [(NAME, "16.10"), ("macOS", "15.5")]
    for version in ("16.9", "16.10"):
        assert isinstance(plan(box, NAME, version), Planned)


@long
def test_0_and_nothing_installed_is_a_failure(box: Mac) -> None:
    box.publish(TOOLS, "16.2")
    ready(box)
    made = plan(box, NAME, "16.2")
    assert isinstance(made, Planned)
    box.change(scanned=[row | {"fails": True} for row in box.state()["scanned"]])  # type: ignore[operator]
    result = box.provider.apply(order(made.transaction), lambda _: None)
    assert (result.outcome, result.code, result.changes) == (Outcome.FAILED, "verify_failed", ()), result.detail


@long
def test_quarantined_and_withdrawn(box: Mac) -> None:
    box.publish(TOOLS, "16.2")
    ready(box)
    quarantined = plan(box, NAME, "16.2", Bounds(without=(UpdateRef(NAME, "16.2"),)))
    assert isinstance(quarantined, Refused)
    assert quarantined.code == "quarantined"
    made = plan(box, NAME, "16.2")
    assert isinstance(made, Planned)
    box.change(scanned=[])
    result = box.provider.apply(order(made.transaction), lambda _: None)
    assert (result.outcome, result.code) == (Outcome.REFUSED, "changed")


@long
def test_mac_that_does_not_tell_its_version_is_not_looked_at(box: Mac) -> None:
    box.change(system="?")
    with pytest.raises(NoAnswer):
        box.provider.survey()
