"""Several package managers behind the contract of one: whose an update is, and what a broken one may not do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from brakeline.agent import orders, stamp
from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.fake import FakeProvider, Version
from brakeline.agent.providers.host import Manager, Managers
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refused
from brakeline.agent.python_sites import python_sites
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Fault
from brakeline.protocol.managers import asked_of, ecosystem_of, update_name
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Outcome,
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Transaction,
    TransactionResult,
    UpdateRef,
)

LABEL = "pypi-tool"


class Labelled(FakeProvider):
    """The provider in memory, its packages under a label; `broken`: it cannot be looked at."""

    broken = False

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        if self.broken:
            raise Fault("its records cannot be read")
        packages, updates = super().survey()
        mine = tuple(replace(p, architecture=LABEL, ecosystem="pypi") for p in packages)
        return mine, tuple(replace(u, architecture=LABEL) for u in updates)

    def health(self) -> PackageManagerHealth:
        return replace(super().health(), lists_problem="The index could not be reached.")

    def plan(self, updates: tuple[UpdateRef, ...], bounds: Bounds) -> Planned | Refused:
        found = super().plan(tuple(UpdateRef(u.name.partition(":")[0], u.version) for u in updates), bounds)
        if isinstance(found, Refused):
            return found
        actions = (replace(a, architecture=LABEL) for a in found.transaction.actions)
        return replace(found, transaction=make_transaction(actions))

    def apply(self, order: Order, log: Callable[[str], None]) -> TransactionResult:
        actions = (replace(a, architecture="all") for a in order.transaction.actions)
        return super().apply(replace(order, transaction=make_transaction(actions)), log)


def provider(kind: type[FakeProvider], name: str) -> FakeProvider:
    made = kind(ManualClock(), name=name)
    made.publish(Version("p", "1"), Version("p", "2"))
    made.have("p", "1")
    made.refresh()
    return made


@pytest.fixture
def system() -> FakeProvider:
    return provider(FakeProvider, "apt")


@pytest.fixture
def pip() -> Labelled:
    made = provider(Labelled, "pip")
    assert isinstance(made, Labelled)
    return made


@pytest.fixture
def both(system: FakeProvider, pip: Labelled) -> Managers:
    return Managers((Manager("", system), Manager("pypi", pip)))


def order(transaction: Transaction, number: int = 1) -> Order:
    return Order(f"tx_{number}", f"of_{number}", "ro_1", 1, transaction)


SYSTEM, BESIDE = UpdateRef("p", "2"), UpdateRef(f"p:{LABEL}", "2")


def test_whose() -> None:
    assert [ecosystem_of(a) for a in ("amd64", "pypi", "pypi-black", "kfreebsd-amd64", "")] == [
        "",
        "pypi",
        "pypi",
        "",
        "",
    ]
    assert [asked_of(u.name) for u in (SYSTEM, BESIDE, UpdateRef("p:amd64", "2"))] == ["", "pypi", ""]


def test_what_a_deployment_calls_it() -> None:
    assert (update_name("p", "amd64"), update_name("p", LABEL)) == ("p", f"p:{LABEL}")
    assert asked_of(update_name("p", LABEL)) == ecosystem_of(LABEL)


def test_the_same_name_twice_is_two_packages(both: Managers) -> None:
    assert {(p.name, p.architecture) for p in both.inventory()} == {("p", "all"), ("p", LABEL)}
    assert {(u.name, u.architecture) for u in both.available()} == {("p", "all"), (f"p:{LABEL}", LABEL)}


def test_each_update_goes_to_its_manager_alone(both: Managers, system: FakeProvider, pip: Labelled) -> None:
    mine = both.plan((BESIDE,), Bounds())
    assert isinstance(mine, Planned)
    assert both.apply(order(mine.transaction), [].append).outcome is Outcome.INSTALLED
    assert (system.packages["p:all"].version, pip.packages["p:all"].version) == ("1", "2")
    theirs = both.plan((SYSTEM,), Bounds())
    assert isinstance(theirs, Planned)
    assert both.apply(order(theirs.transaction, 2), [].append).outcome is Outcome.INSTALLED
    assert system.packages["p:all"].version == "2"


def test_quarantined_is_what_is_named_of_that_manager(both: Managers) -> None:
    other = both.plan((BESIDE,), Bounds(without=(SYSTEM,)))
    assert isinstance(other, Planned)
    mine = both.plan((BESIDE,), Bounds(without=(BESIDE,)))
    assert isinstance(mine, Refused)
    assert mine.code == "quarantined"


def test_one_transaction_is_one_manager_s(both: Managers, pip: Labelled) -> None:
    answer = both.plan((SYSTEM, BESIDE), Bounds())
    assert isinstance(answer, Refused)
    assert (answer.code, "one deployment for each" in answer.reason) == ("several_managers", True)
    pip.have("p", "2")  # then one of them has nothing to do, and the other may
    assert isinstance(both.plan((SYSTEM, BESIDE), Bounds()), Planned)


def test_an_order_over_several_or_for_nobody_here_changes_nothing(both: Managers, system: FakeProvider) -> None:
    ours, theirs = (Action(ActionKind.UPGRADE, "p", a, "1", "2") for a in ("all", LABEL))
    mixed = both.apply(order(make_transaction([ours, theirs])), [].append)
    assert (mixed.outcome, mixed.code, system.packages["p:all"].version) == (Outcome.REFUSED, "no_manager", "1")
    alone = Managers((Manager("", system),))
    foreign = alone.apply(order(make_transaction([theirs])), [].append)
    assert (foreign.outcome, foreign.code) == (Outcome.REFUSED, "no_manager")
    assert alone.verify(make_transaction([theirs])) != ()
    lost = alone.recover(order(make_transaction([theirs])), [].append)
    assert (lost.outcome, lost.code) == (Outcome.INTERRUPTED, "interrupted_unchanged")
    answer = alone.plan((BESIDE,), Bounds())
    assert isinstance(answer, Refused)
    assert answer.code == "nothing_to_do"


def test_a_broken_manager_neither_hides_nor_stops_the_others(system: FakeProvider, pip: Labelled) -> None:
    last = pip.survey()[0]
    both = Managers((Manager("", system), Manager("pypi", pip)), known=lambda: (*system.inventory(), *last))
    pip.broken = True
    packages, updates = both.survey()
    assert {(p.name, p.architecture) for p in packages} == {("p", "all"), ("p", LABEL)}  # not known is never none
    assert [u.architecture for u in updates] == ["all"]
    health = both.health()
    assert health.healthy
    assert health.problems[0].startswith("pip: could not be looked at, its packages are as last known: ")
    assert health.problems[0].endswith("its records cannot be read")
    assert isinstance(both.plan((SYSTEM,), Bounds()), Planned)
    pip.broken = False
    both.survey()
    assert both.health().problems == ()


def test_the_system_s_manager_must_answer(pip: Labelled) -> None:
    pip.broken = True
    with pytest.raises(Fault):
        Managers((Manager("", pip),)).survey()


def test_trouble_is_told_by_name(both: Managers, pip: Labelled) -> None:
    pip.have("q", "1", "iHR")
    health = both.health()
    assert health.healthy
    assert health.problems[0].startswith("pip: q: half-installed")
    assert health.lists_problem == "pip: The index could not be reached."


def test_the_way_back_is_whose_the_rollout_was(both: Managers, pip: Labelled) -> None:
    nobody = both.undo("ro_1", look=True)
    assert isinstance(nobody, Refused)
    assert nobody.code == "no_way_back"
    mine = both.plan((BESIDE,), Bounds())
    assert isinstance(mine, Planned)
    both.apply(order(mine.transaction), [].append)
    assert isinstance(both.undo("ro_1", look=True), Inverse)


def test_the_stamp_changes_with_an_environment(tmp_path: Path) -> None:
    site = tmp_path / "opt/pipx/venvs/tool/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    assert list(python_sites(tmp_path)) == [(LABEL, "/opt/pipx/venvs/tool/lib/python3.11/site-packages")]
    boot = tmp_path / "proc/sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("11111111-1111-1111-1111-111111111111")
    before = stamp.take("x", tmp_path)
    (site / "new-1.0.dist-info").mkdir()
    assert stamp.take("x", tmp_path).slow != before.slow


def test_the_root_helper_takes_a_label_and_nothing_else_in_its_place() -> None:
    def acted(architecture: str) -> Transaction:
        return make_transaction([Action(ActionKind.UPGRADE, "tool", architecture, "1.0", "1.1")])

    assert orders.unsafe(acted(LABEL), "apt") is None
    assert all(orders.unsafe(acted(bad), "apt") is not None for bad in ("pypi-../..", "pypi-a b", "pypi-A", "--pypi"))


def test_what_another_manager_has_written_and_waits_is_a_reason_to_restart(
    system: FakeProvider, pip: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = Managers((Manager("", system), Manager("pypi", pip)))
    before = both.reboot_need()
    waits = RebootNeed(required=True, reasons=("firmware of Dock: 2 written, 1 running",))
    monkeypatch.setattr(Labelled, "reboot_need", lambda _: waits)
    need = both.reboot_need()
    assert (need.required, need.reasons) == (True, (*before.reasons, *waits.reasons))

    def lost(_: Labelled) -> RebootNeed:
        raise Fault("it gave no answer")

    monkeypatch.setattr(Labelled, "reboot_need", lost)
    assert both.reboot_need() == before
