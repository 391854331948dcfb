"""One suite for every provider: the one in memory, and real apt on a real root file system."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
from tests.aptrepo import Built, Repository
from tests.aptroot import Clone, clone, order

from brakeline.agent.providers.fake import FakeProvider, Version
from brakeline.agent.providers.model import Bounds, Inverse, Planned, Provider, Refreshed, Refused
from brakeline.core.clock import ManualClock
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import ActionKind, Outcome, Package, PendingUpdate, UpdateRef, UpdateState


class World(Protocol):
    """What a test may do to an endpoint, whatever its provider."""

    provider: Provider

    def publish(self, *versions: Version) -> None: ...
    def install(self, *names: str) -> None: ...
    def hold(self, name: str) -> None: ...
    def cut_network(self) -> None: ...
    def really_has(self, name: str) -> str: ...


class Memory:
    def __init__(self) -> None:
        self.provider = FakeProvider(ManualClock())

    def publish(self, *versions: Version) -> None:
        self.provider.publish(*versions)

    def install(self, *names: str) -> None:
        for v in self.provider.published:
            if v.name in names:
                self.provider.have(v.name, v.version)

    def hold(self, name: str) -> None:
        self.provider.hold(name)

    def cut_network(self) -> None:
        self.provider.network = False

    def really_has(self, name: str) -> str:
        found = self.provider.packages.get(f"{name}:all")
        return f"{found.state} {found.version}" if found else ""


class Real:
    def __init__(self, endpoint: Clone, repository: Repository) -> None:
        self.endpoint, self.repository, self.provider = endpoint, repository, endpoint.provider
        repository.index()
        endpoint.use(repository)

    def publish(self, *versions: Version) -> None:
        self.repository.publish(*(self._built(v) for v in versions))

    def _built(self, v: Version) -> Built:
        return Built(
            v.name,
            v.version,
            depends=", ".join(f"{n.name} (>= {n.version})" for n in v.needs),
            conflicts=", ".join(v.breaks),
            phased=0 if v.phased_out else None,
            scripts={"postinst": "exit 1"} if v.script_fails else {},
        )

    def install(self, *names: str) -> None:
        self.endpoint.sh(f"apt-get -q -eany update; apt-get -qy install {' '.join(names)}")

    def hold(self, name: str) -> None:
        self.endpoint.sh(f"apt-mark hold {name}")

    def cut_network(self) -> None:
        self.repository.stop()

    def really_has(self, name: str) -> str:
        return self.endpoint.version(name)


@pytest.fixture(params=["memory", "apt"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "memory":
        yield Memory()
        return
    repository = Repository(tmp_path)
    with clone() as endpoint:
        endpoint.sh("echo 11111111111111111111111111111111 > /etc/machine-id")
        try:
            yield Real(endpoint, repository)
        finally:
            repository.stop()


def outdated(world: World, *newer: Version, installed: tuple[str, ...] = ("p",)) -> None:
    """Version 1 of each of `installed` is there; the repositories also have `newer`, and the lists know it."""
    world.publish(*(Version(name, "1") for name in installed))
    world.install(*installed)
    world.publish(*newer)
    assert isinstance(world.provider.refresh(), Refreshed)


def pending(world: World) -> dict[str, PendingUpdate]:
    return {u.name: u for u in world.provider.available()}


def inventory(world: World) -> dict[str, Package]:
    return {p.name: p for p in world.provider.inventory()}


def planned(world: World, *updates: tuple[str, str], bounds: Bounds | None = None) -> Planned:
    answer = world.provider.plan(tuple(UpdateRef(*u) for u in updates), bounds or Bounds())
    assert isinstance(answer, Planned), answer
    return answer


def refused(world: World, *updates: tuple[str, str], bounds: Bounds | None = None) -> Refused:
    answer = world.provider.plan(tuple(UpdateRef(*u) for u in updates), bounds or Bounds())
    assert isinstance(answer, Refused), answer
    assert answer.reason.endswith(".")
    return answer


def test_inventory_then_update_then_inventory(world: World) -> None:
    outdated(world, Version("p", "2"))
    assert (inventory(world)["p"].version, inventory(world)["p"].state) == ("1", "ii")
    assert inventory(world)["p"].origin != ""
    update = pending(world)["p"]
    assert (update.installed, update.candidate, update.state) == ("1", "2", UpdateState.AVAILABLE)
    plan = planned(world, ("p", "2"))
    assert plan.transaction.digest == transaction_digest(plan.transaction.actions)
    assert plan.rollback == ("p",)
    result = world.provider.apply(order(plan.transaction), [].append)
    assert (result.outcome, result.code, result.transaction_id) == (Outcome.INSTALLED, "ok", "tx_1")
    assert [(c.name, c.before, c.after, c.state) for c in result.changes] == [("p", "1", "2", "ii")]
    assert world.provider.verify(plan.transaction) == ()
    assert world.really_has("p") == "ii 2"
    assert pending(world) == {}


def test_planning_changes_nothing_and_verify_says_so(world: World) -> None:
    outdated(world, Version("p", "2"))
    plan = planned(world, ("p", "2"))
    assert world.provider.verify(plan.transaction) == ("p should be 2, but is 1 (ii)",)
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
    assert [a.name for a in both.transaction.actions] == ["q"]
    assert len(both.skipped) == 1
    assert "held" in both.skipped[0]


def test_new_packages(world: World) -> None:
    outdated(world, Version("fresh", "1"), Version("p", "2", needs=(UpdateRef("fresh", "1"),)))
    assert pending(world)["p"].state is UpdateState.NEEDS_NEW
    plan = planned(world, ("p", "2"))
    assert [(a.kind, a.name) for a in plan.transaction.actions] == [
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


def test_failing_script_is_reported_and_blocks_others(world: World) -> None:
    outdated(world, Version("p", "2", script_fails=True), Version("q", "2"), installed=("p", "q"))
    plan = planned(world, ("p", "2"))
    result = world.provider.apply(order(plan.transaction), [].append)
    assert (result.outcome, result.code) == (Outcome.FAILED, "maintainer_script_failed")
    assert [(c.name, c.after, c.state) for c in result.changes] == [("p", "2", "iF")]
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
    assert (world.really_has("p"), world.really_has("q")) == ("hi 1", "ii 1")


def test_forged_order(world: World) -> None:
    outdated(world, Version("p", "2"))
    plan = planned(world, ("p", "2"))
    result = world.provider.apply(order(replace(plan.transaction, digest="0" * 64)), [].append)
    assert (result.outcome, world.really_has("p")) == (Outcome.REFUSED, "ii 1")


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
    assert (result.outcome, result.code, world.really_has("p")) == (Outcome.REFUSED, "network", "ii 1")


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
    assert [(c.name, c.before, c.after) for c in result.changes] == [("p", "1", "2")]


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
    assert (world.really_has("p"), world.really_has("q")) == ("ii 1", "")
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
    answer = refused(world, ("p", "2"), bounds=Bounds(without=(UpdateRef("q", "1"),)))
    assert (answer.code, "q 1" in answer.reason) == ("quarantined", True)
