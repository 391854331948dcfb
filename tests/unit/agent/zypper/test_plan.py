"""What a summary means as a transaction, what bounds forbid, whether it came, and the way back from it."""

from __future__ import annotations

from brakeline.agent.providers.model import Bounds, Inverse, Refused
from brakeline.agent.providers.zypper import plan
from brakeline.agent.providers.zypper.answers import Step, Summary
from brakeline.agent.providers.zypper.inverse import inverse_of, left_to_do
from brakeline.agent.providers.zypper.rpmdb import Installed
from brakeline.protocol.messages import ActionKind, UpdateRef

P1, P2 = Installed("p", "noarch", "1-1"), Installed("p", "noarch", "2-1")
Q1 = Installed("q", "noarch", "1-1")
UPGRADE = Step("to-upgrade", "p", "noarch", "1-1", "2-1")


def transaction(*steps: Step):  # type: ignore[no-untyped-def]
    return plan.transaction_of(Summary(True, steps))


def test_kinds() -> None:
    found = transaction(
        UPGRADE,
        Step("to-downgrade", "d", "noarch", "2-1", "1-1"),
        Step("to-install", "n", "noarch", "", "1-1"),
        Step("to-remove", "r", "noarch", "1-1", ""),
    )
    assert [(a.name, a.kind) for a in found.actions] == [
        ("d", ActionKind.DOWNGRADE),
        ("n", ActionKind.INSTALL),
        ("p", ActionKind.UPGRADE),
        ("r", ActionKind.REMOVE),
    ]
    assert plan.arguments(found) == ("d.noarch=1-1", "n.noarch=1-1", "p.noarch=2-1", "!r.noarch")


def test_another_architecture_is_another_package() -> None:
    found = transaction(Step("to-change-arch", "p", "x86_64", "1-1", "2-1", "", "noarch"))
    assert [(a.kind, a.architecture) for a in found.actions] == [
        (ActionKind.REMOVE, "noarch"),
        (ActionKind.INSTALL, "x86_64"),
    ]


def test_only_older_packages_that_are_here_are_wanted() -> None:
    asked = (UpdateRef("p", "2-1"), UpdateRef("q", "1-1"), UpdateRef("absent", "1-1"))
    assert plan.wanted(asked, (P1, Q1)) == ((P1, "2-1"),)


def test_bounds() -> None:
    gone = transaction(UPGRADE, Step("to-remove", "q", "noarch", "1-1", ""))
    new = transaction(UPGRADE, Step("to-install", "n", "noarch", "", "1-1"))
    back = transaction(Step("to-downgrade", "p", "noarch", "2-1", "1-1"))
    held = {"p:noarch": "p"}
    codes = [
        plan.refuse_beyond(gone, Bounds(), {}),
        plan.refuse_beyond(new, Bounds(allow_new_packages=False), {}),
        plan.refuse_beyond(back, Bounds(), {}),
        plan.refuse_beyond(transaction(UPGRADE), Bounds(), held),
        plan.refuse_vendors(Summary(True, vendor_changes=("p",))),
    ]
    assert [c.code if c else "" for c in codes] == ["refused", "refused", "refused", "held", "vendor"]
    assert plan.refuse_beyond(gone, Bounds(allow_removals=True), {}) is None


def test_proof_is_the_records() -> None:
    ordered = transaction(UPGRADE)
    assert plan.unproven(ordered, (P2,)) == ()
    assert plan.unproven(ordered, (P1,)) == ("p should be 2-1, but is 1-1 (ii)",)
    assert plan.unproven(ordered, ()) == ("p should be 2-1, but is not installed",)
    assert plan.unproven(ordered, (P1, P2)) == ("p 1-1 should be gone, but is recorded beside 2-1",)


def test_kernels_stand_beside_each_other() -> None:
    ordered = transaction(Step("to-install", "k", "noarch", "", "2-1"))
    there = (Installed("k", "noarch", "1-1"),)
    assert plan.beside(ordered, there, frozenset({"k"})) == frozenset({"k"})
    assert plan.beside(ordered, there, frozenset()) == frozenset()


def test_way_back_is_what_is_left_of_it() -> None:
    done = transaction(UPGRADE, Step("to-install", "q", "noarch", "", "1-1"))
    stored = Inverse("tx_1", "ro_1", inverse_of(done), ())
    left = left_to_do(stored, (P2, Q1))
    assert not isinstance(left, Refused)
    assert [(a.kind, a.name) for a in left.actions] == [(ActionKind.DOWNGRADE, "p"), (ActionKind.REMOVE, "q")]
    half = left_to_do(stored, (P1, Q1))
    assert not isinstance(half, Refused)
    assert [a.name for a in half.actions] == ["q"]
    answers = [left_to_do(stored, (P1,)), left_to_do(stored, (Installed("p", "noarch", "3-1"), Q1))]
    assert [a.code for a in answers if isinstance(a, Refused)] == ["nothing_to_do", "changed"]
