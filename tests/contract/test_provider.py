"""One suite for every provider: the one in memory, and the real managers on real root file systems.

`NOT_OFFERED` says which promise a manager does not make, and why; the test of it does not exist for that manager. One
case of each manager is always run (npm's and wine's too are in the long set); the others keep the whole contract there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.aptroot import order
from tests.contract.worlds import WORLDS, World

from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import (
    ActionKind,
    Outcome,
    Package,
    PendingUpdate,
    Transaction,
    TransactionResult,
    UpdateRef,
    UpdateState,
)

PHASING: Final = "no phased updates: a repository's newest version is for everybody"
NOT_OFFERED: dict[tuple[str, str], str] = {
    ("test_phased", "dnf"): PHASING,
    ("test_phased", "zypper"): PHASING,
    ("test_phased", "pacman"): PHASING,
}
NOT_OFFERED |= {
    ("test_failing_script_blocks_others", m): "rpm and pacman count the package as installed, and go on with others"
    for m in ("dnf", "zypper", "pacman")
}
NOT_OFFERED |= {
    ("test_what_was_taken_back_is_not_brought_by_the_endpoint_itself", "memory"): "nobody else changes it",
    ("test_what_was_taken_back_is_not_brought_by_the_endpoint_itself", "dnf"):
        "dnf itself keeps the list with its versionlock plugin alone, which is told where it is missing",
    ("test_what_was_taken_back_comes_again_by_an_order_for_it", "memory"): "it forbids nothing",
}  # fmt: skip
ALONE: Final = "an own package needs, removes and blocks no other"
NOT_OFFERED |= {
    (test, "own"): reason
    for test, reason in {
        "test_new_packages": ALONE,
        "test_removals": ALONE,
        "test_kept_back": ALONE,
        "test_failing_script_blocks_others": ALONE,
        "test_the_way_back_is_stored_beforehand_and_taken_exactly": ALONE + ": tests/integration/own has it for one",
        "test_quarantined_versions_are_in_no_plan": ALONE + ": tests/integration/own has it for one",
        "test_held": ALONE + ": tests/integration/own has it for one",
        "test_changed_situation": ALONE + ": tests/integration/own has it for one",
        "test_phased": "content is phased by its own rollout",
        "test_no_network": "what is newer comes with content, so a refresh asks nobody",
        "test_what_was_taken_back_is_not_brought_by_the_endpoint_itself": "nobody else installs it",
        "test_what_was_taken_back_comes_again_by_an_order_for_it": "it forbids nothing: an order alone brings it",
    }.items()
}
NOT_OFFERED |= {
    (test, m): reason
    for m in ("pip", "npm", "flatpak")
    for test, reason in {
        "test_phased": PHASING,
        "test_removals": "nothing that an application has of its own stands in the way of another",
        "test_version_that_is_not_to_be_had": "asks for exactly that version: whoever has it not is told `lists_stale`",
        "test_failing_script_is_reported": "no scripts but npm's, whose failed run is put back: `correctness/npm.py`",
        "test_failing_script_blocks_others": "no scripts but npm's, whose failed run is put back",
        "test_what_was_taken_back_is_not_brought_by_the_endpoint_itself": "no list of versions to be kept away",
        "test_what_was_taken_back_comes_again_by_an_order_for_it": "it forbids nothing",
    }.items()
}
NOT_OFFERED |= {
    (test, m): reason
    for m in ("windows", "msi", "winget")
    for test, reason in {
        "test_new_packages": "a program needs, removes and blocks no other",
        "test_removals": "a program needs, removes and blocks no other",
        "test_kept_back": "a program needs no other",
        "test_failing_script_blocks_others": "a program blocks no other",
        "test_the_way_back_is_stored_beforehand_and_taken_exactly": "needs no other: unit/agent/windows has it for one",
        "test_quarantined_versions_are_in_no_plan": "needs no other: unit/agent/windows has it for one",
        "test_failing_script_is_reported": "what fails is put back by Windows Installer: unit/agent/windows",
        "test_phased": "what is newer is for everybody",
        "test_what_was_taken_back_is_not_brought_by_the_endpoint_itself": "nobody else installs it",
        "test_what_was_taken_back_comes_again_by_an_order_for_it": "it forbids nothing: an order alone brings it",
    }.items()
}
ONE_SNAP: Final = "a snap brings what it needs, and blocks no other"
NOT_OFFERED |= {
    (test, "snap"): reason
    for test, reason in {
        "test_new_packages": ONE_SNAP,
        "test_removals": ONE_SNAP,
        "test_kept_back": ONE_SNAP + "; whose applications run is in tests/integration/snap",
        "test_phased": "whatever the store phases is not offered",
        "test_version_that_is_not_to_be_had": "whoever has not exactly that revision is told `lists_stale`",
        "test_failing_script_is_reported": "snapd undoes a change whose hook fails: tests/integration/snap",
        "test_failing_script_blocks_others": ONE_SNAP,
        "test_the_way_back_is_stored_beforehand_and_taken_exactly": ONE_SNAP
        + ": tests/integration/snap has it for one",
        "test_quarantined_versions_are_in_no_plan": ONE_SNAP + ": tests/integration/snap has it for one",
        "test_what_was_taken_back_is_not_brought_by_the_endpoint_itself": "snapd passes over what was reverted",
        "test_what_was_taken_back_comes_again_by_an_order_for_it": "it forbids nothing",
    }.items()
}
NEWEST: Final = "Homebrew has only the newest version of anything"
NOT_OFFERED |= {
    (test, "brew"): reason
    for test, reason in {
        "test_phased": NEWEST,
        "test_removals": "no formula stands in the way of another",
        "test_version_that_is_not_to_be_had": NEWEST + ": whoever asks for another is told `lists_stale`",
        "test_failing_script_is_reported": "no scripts; a formula that cannot be poured is in tests/integration/brew",
        "test_failing_script_blocks_others": "no scripts",
        "test_the_way_back_is_stored_beforehand_and_taken_exactly": NEWEST + ": no way back, which is said",
        "test_what_was_taken_back_is_not_brought_by_the_endpoint_itself": NEWEST,
        "test_what_was_taken_back_comes_again_by_an_order_for_it": NEWEST,
    }.items()
}
APPLE: Final = "one update of Apple's needs, removes and blocks no other that anybody is told of"
NOT_OFFERED |= {
    (test, "softwareupdate"): reason
    for test, reason in {
        "test_new_packages": APPLE,
        "test_removals": APPLE,
        "test_kept_back": APPLE + "; what restarts is kept back: tests/integration/macos",
        "test_phased": "whatever Apple phases is not in a Mac's list",
        "test_version_that_is_not_to_be_had": "asks for exactly that version: whoever has it not is told `lists_stale`",
        "test_failing_script_is_reported": "no scripts that are told of",
        "test_failing_script_blocks_others": APPLE,
        "test_the_way_back_is_stored_beforehand_and_taken_exactly": "Apple has no way back, which is said",
        "test_quarantined_versions_are_in_no_plan": APPLE + ": tests/integration/macos has it for one",
        "test_what_was_taken_back_is_not_brought_by_the_endpoint_itself": "Apple has no way back",
        "test_what_was_taken_back_comes_again_by_an_order_for_it": "Apple has no way back",
    }.items()
}
ONE_DEVICE: Final = "a device's firmware needs, removes and blocks no other's"
NOT_OFFERED |= {
    (test, "fwupd"): reason
    for test, reason in {
        "test_new_packages": ONE_DEVICE,
        "test_removals": ONE_DEVICE,
        "test_kept_back": ONE_DEVICE + "; what a device itself lacks is in tests/integration/fwupd",
        "test_failing_script_is_reported": "no scripts; a write that fails is in tests/integration/fwupd",
        "test_failing_script_blocks_others": ONE_DEVICE,
        "test_the_way_back_is_stored_beforehand_and_taken_exactly": ONE_DEVICE
        + ": tests/integration/fwupd has it for one",
        "test_quarantined_versions_are_in_no_plan": ONE_DEVICE + ": tests/integration/fwupd has it for one",
        "test_phased": PHASING,
        "test_version_that_is_not_to_be_had": "asks for exactly that release: whoever has it not is told `lists_stale`",
        "test_what_was_taken_back_is_not_brought_by_the_endpoint_itself": "fwupd writes nothing by itself",
        "test_what_was_taken_back_comes_again_by_an_order_for_it": "it forbids nothing",
    }.items()
}
RESOLVER: Final = "only its resolver knows what else an update needs, and it is asked when a plan is made"
NOT_OFFERED |= {(test, m): RESOLVER for test in ("test_new_packages", "test_kept_back") for m in ("pip", "npm")}
ALWAYS: Final = "test_inventory_then_update_then_inventory"


def pytest_generate_tests(metafunc: Any) -> None:
    test = metafunc.function.__name__
    names = [n for n in WORLDS if (test, n) not in NOT_OFFERED]
    quick = (
        "memory",
        "apt",
        "windows",
        "winget",
        *((n for n in WORLDS if n not in ("npm", "msi")) if test == ALWAYS else ()),
    )
    marks = [pytest.param(n, marks=() if n in quick else (pytest.mark.long,)) for n in names]
    metafunc.parametrize("world", marks, indirect=True)


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made: AbstractContextManager[World] = WORLDS[request.param](tmp_path)
    with made as found:
        yield found


def outdated(world: World, *newer: Version, installed: tuple[str, ...] = ("p",)) -> None:
    """Version 1 of each of `installed` is there; the repositories also have `newer`, and the lists know it."""
    world.publish(*(Version(name, "1") for name in installed))
    world.install(*installed)
    world.publish(*newer)
    assert isinstance(world.provider.refresh(), Refreshed)


def pending(world: World) -> dict[str, PendingUpdate]:
    return {world.plain(u.name): u for u in world.provider.available()}


def inventory(world: World) -> dict[str, Package]:
    return {world.plain(p.name): p for p in world.provider.inventory()}


def planned(world: World, *updates: tuple[str, str], bounds: Bounds | None = None) -> Planned:
    answer = world.provider.plan(tuple(UpdateRef(world.name(n), world.v(v, n)) for n, v in updates), bounds or Bounds())
    assert isinstance(answer, Planned), answer
    return answer


def refused(world: World, *updates: tuple[str, str], bounds: Bounds | None = None) -> Refused:
    answer = world.provider.plan(tuple(UpdateRef(world.name(n), world.v(v, n)) for n, v in updates), bounds or Bounds())
    assert isinstance(answer, Refused), answer
    assert answer.reason.endswith(".")
    return answer


def changed(world: World, result: TransactionResult) -> list[tuple[str, str, str]]:
    return [(world.plain(c.name), world.bare(c.before), world.bare(c.after)) for c in result.changes]


def test_inventory_then_update_then_inventory(world: World) -> None:
    outdated(world, Version("p", "2"))
    assert (inventory(world)["p"].version, inventory(world)["p"].state) == (world.v("1"), "ii")
    assert inventory(world)["p"].origin != ""
    update = pending(world)["p"]
    assert (world.bare(update.installed), world.bare(update.candidate), update.state) == (
        "1",
        "2",
        UpdateState.AVAILABLE,
    )
    plan = planned(world, ("p", "2"))
    assert plan.transaction.digest == transaction_digest(plan.transaction.actions)
    if world.foretells_way_back:
        assert plan.rollback == (world.own("p"),)
    result = world.provider.apply(order(plan.transaction), [].append)
    assert (result.outcome, result.code, result.transaction_id) == (Outcome.INSTALLED, "ok", "tx_1")
    assert [(world.plain(c.name), world.bare(c.before), world.bare(c.after), c.state) for c in result.changes] == [
        ("p", "1", "2", "ii")
    ]
    assert world.provider.verify(plan.transaction) == ()
    assert world.really_has("p") == "2"
    assert pending(world) == {}


def test_planning_changes_nothing_and_verify_says_so(world: World) -> None:
    outdated(world, Version("p", "2"))
    plan = planned(world, ("p", "2"))
    said = " ".join(world.provider.verify(plan.transaction))
    assert f"{world.own('p')} should be {world.v('2')}, but is {world.v('1')}" in said
    assert planned(world, ("p", "2")) == plan


def test_nothing_to_do(world: World) -> None:
    outdated(world, Version("p", "2"))
    assert refused(world, ("p", "1")).code == "nothing_to_do"
    assert refused(world, ("absent", "1")).code == "nothing_to_do"
    plan = planned(world, ("p", "2"))
    world.provider.apply(order(plan.transaction), [].append)
    again = world.provider.apply(order(plan.transaction, number=2), [].append)
    assert (again.outcome, again.code, again.changes) == (Outcome.REFUSED, "nothing_to_do", ())


def test_held(world: World) -> None:
    outdated(world, Version("p", "2"), Version("q", "2"), installed=("p", "q"))
    world.hold("p")
    assert pending(world)["p"].state is UpdateState.HELD
    assert refused(world, ("p", "2")).code == "held"
    both = planned(world, ("p", "2"), ("q", "2"))
    assert [world.plain(a.name) for a in both.transaction.actions] == ["q"]
    assert len(both.skipped) == 1
    assert any(word in both.skipped[0] for word in ("held", "masked", "pinned"))


def test_new_packages(world: World) -> None:
    outdated(world, Version("fresh", "1"), Version("p", "2", needs=(UpdateRef("fresh", "1"),)))
    assert pending(world)["p"].state is UpdateState.NEEDS_NEW
    plan = planned(world, ("p", "2"))
    assert [(a.kind, world.plain(a.name)) for a in plan.transaction.actions] == [
        (ActionKind.INSTALL, "fresh"),
        (ActionKind.UPGRADE, "p"),
    ]
    assert refused(world, ("p", "2"), bounds=Bounds(allow_new_packages=False)).code == "refused"
    assert world.provider.apply(order(plan.transaction), [].append).outcome is Outcome.INSTALLED


def test_removals(world: World) -> None:
    outdated(world, Version("p", "2", breaks=("q",)), installed=("p", "q"))
    assert pending(world)["p"].state is UpdateState.NEEDS_REMOVAL
    assert refused(world, ("p", "2")).code == "refused"
    allowed = Bounds(allow_removals=True)
    plan = planned(world, ("p", "2"), bounds=allowed)
    assert world.provider.apply(order(plan.transaction, allowed), [].append).outcome is Outcome.INSTALLED
    assert world.really_has("q") == ""


def test_kept_back(world: World) -> None:
    outdated(world, Version("p", "2", needs=(UpdateRef("nowhere", "3"),)))
    update = pending(world)["p"]
    assert update.state is UpdateState.KEPT_BACK
    assert "nowhere" in update.reason


def test_phased(world: World) -> None:
    outdated(world, Version("p", "2", phased_out=True))
    assert pending(world)["p"].state is UpdateState.PHASED


def test_version_that_is_not_to_be_had(world: World) -> None:
    outdated(world, Version("p", "3"))
    assert refused(world, ("p", "2")).code == "refused"
    assert refused(world, ("p", "4")).code == "lists_stale"


def test_failing_script_is_reported(world: World) -> None:
    outdated(world, Version("p", "2", script_fails=True))
    result = world.provider.apply(order(planned(world, ("p", "2")).transaction), [].append)
    assert (result.outcome, result.code) == (Outcome.FAILED, "maintainer_script_failed")
    assert [(c.name, world.bare(c.after)) for c in result.changes] == [("p", "2")]


def test_failing_script_blocks_others(world: World) -> None:
    outdated(world, Version("p", "2", script_fails=True), Version("q", "2"), installed=("p", "q"))
    result = world.provider.apply(order(planned(world, ("p", "2")).transaction), [].append)
    assert not result.health.healthy
    assert world.provider.health().problems == result.health.problems
    assert refused(world, ("q", "2")).code == "unhealthy"


def test_changed_situation(world: World) -> None:
    outdated(world, Version("p", "2"), Version("q", "2"), installed=("p", "q"))
    plan = planned(world, ("p", "2"))
    wider = planned(world, ("p", "2"), ("q", "2"))
    world.hold("p")
    result = world.provider.apply(order(plan.transaction), [].append)
    assert (result.outcome, result.changes) == (Outcome.REFUSED, ())
    assert result.code in ("held", "changed")
    world.provider.apply(order(wider.transaction, number=2), [].append)
    assert (world.really_has("p"), world.really_has("q")) == ("1", "1")


def test_forged_order(world: World) -> None:
    outdated(world, Version("p", "2"))
    plan = planned(world, ("p", "2"))
    result = world.provider.apply(order(replace(plan.transaction, digest="0" * 64)), [].append)
    assert (result.outcome, world.really_has("p")) == (Outcome.REFUSED, "1")


def test_no_network(world: World) -> None:
    outdated(world, Version("p", "2"))
    plan = planned(world, ("p", "2"))
    before = world.provider.health()
    assert (before.healthy, before.lists_problem) == (True, "")
    world.cut_network()
    answer = world.provider.refresh()
    assert isinstance(answer, Refused)
    assert answer.code == "no_network"
    after = world.provider.health()
    assert (after.lists_refreshed_ms, after.lists_problem) == (before.lists_refreshed_ms, answer.reason)
    result = world.provider.apply(order(plan.transaction), [].append)
    assert (result.outcome, result.code, world.really_has("p")) == (Outcome.REFUSED, "network", "1")


def test_recover_without_a_begun_run(world: World) -> None:
    outdated(world, Version("p", "2"))
    plan = planned(world, ("p", "2"))
    result = world.provider.recover(order(plan.transaction), [].append)
    assert (result.outcome, result.code, result.changes) == (Outcome.INTERRUPTED, "interrupted_unchanged", ())


def test_recover_after_a_complete_run(world: World) -> None:
    outdated(world, Version("p", "2"))
    plan = planned(world, ("p", "2"))
    world.provider.apply(order(plan.transaction), [].append)
    result = world.provider.recover(order(plan.transaction), [].append)
    assert (result.outcome, result.code) == (Outcome.INTERRUPTED, "interrupted_complete")
    assert [(world.plain(c.name), world.bare(c.before), world.bare(c.after)) for c in result.changes] == [
        ("p", "1", "2")
    ]


def test_the_way_back_is_stored_beforehand_and_taken_exactly(world: World) -> None:
    outdated(world, Version("p", "2", needs=(UpdateRef("q", "1"),)), Version("q", "1"))
    done = world.provider.apply(order(planned(world, ("p", "2")).transaction), [].append)
    assert done.way_back is not None
    assert (done.way_back.stored, done.way_back.packages) == (True, 2)
    left = world.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    bounds = Bounds(allow_downgrades=True, allow_removals=True)
    back = replace(order(left.transaction, bounds, 2), inverse=left)
    result = world.provider.apply(back, [].append)
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result
    assert result.way_back is not None
    assert result.way_back.code == "is_way_back"
    assert (world.really_has("p"), world.really_has("q")) == ("1", "")
    again = world.provider.undo("ro_1", look=True)
    assert isinstance(again, Refused)
    assert again.code == "nothing_to_do"


def test_no_way_back_from_what_was_never_done(world: World) -> None:
    outdated(world, Version("p", "2"))
    answer = world.provider.undo("ro_1", look=True)
    assert isinstance(answer, Refused)
    assert answer.code == "no_way_back"


def test_quarantined_versions_are_in_no_plan(world: World) -> None:
    outdated(world, Version("p", "2", needs=(UpdateRef("q", "1"),)), Version("q", "1"))
    answer = refused(world, ("p", "2"), bounds=Bounds(without=(UpdateRef(world.own("q"), world.v("1", "q")),)))
    assert (answer.code, f"{world.own('q')} {world.v('1', 'q')}" in answer.reason) == ("quarantined", True)


def taken_back(world: World) -> Transaction:
    """Version 2 of p was installed by an order and taken back by another; gives what the first one was."""
    outdated(world, Version("p", "2"))
    first = planned(world, ("p", "2")).transaction
    world.provider.apply(order(first), [].append)
    left = world.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    bounds = Bounds(allow_downgrades=True, allow_removals=True)
    back = replace(order(left.transaction, bounds, 2), inverse=left, taken_back=(UpdateRef("p", world.v("2")),))
    assert world.provider.apply(back, [].append).outcome is Outcome.INSTALLED
    assert world.really_has("p") == "1"
    return first


def test_what_was_taken_back_is_not_brought_by_the_endpoint_itself(world: World) -> None:
    taken_back(world)
    world.upgrades_itself()
    assert world.really_has("p") == "1"
    world.publish(Version("p", "3"))
    assert isinstance(world.provider.refresh(), Refreshed)
    world.upgrades_itself()
    assert world.really_has("p") == "3"


def test_what_was_taken_back_comes_again_by_an_order_for_it(world: World) -> None:
    first = taken_back(world)
    assert "p" not in pending(world) or pending(world)["p"].state is UpdateState.HELD
    again = planned(world, ("p", "2")).transaction
    assert again.digest == first.digest
    done = world.provider.apply(replace(order(again, number=3), rollout_id="ro_2"), [].append)
    assert (done.outcome, world.really_has("p")) == (Outcome.INSTALLED, "2"), done
