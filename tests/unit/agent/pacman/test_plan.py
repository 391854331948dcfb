"""Decisions about pacman's transactions: what goes away, what was asked for, sameness under the hook, the way back."""

from __future__ import annotations

import pytest

from brakeline.agent.providers.model import Bounds, Provider, Refused
from brakeline.agent.providers.pacman import PacmanProvider, hook, plan
from brakeline.agent.providers.pacman.parse import Metadata, Printed, Simulation
from brakeline.agent.providers.pacman.reboots import kernel_reason
from brakeline.agent.providers.pacman.records import Installed, changes_between
from brakeline.protocol.messages import ActionKind, UpdateRef

KEEPS_THE_CONTRACT: type[Provider] = PacmanProvider  # checked by the type checker


def compare(left: str, right: str) -> int:
    """Good enough for these: one digit before the release."""
    return (left.split("-")[0] > right.split("-")[0]) - (left.split("-")[0] < right.split("-")[0])


def have(name: str, version: str = "1-1", **sections: tuple[str, ...]) -> Installed:
    return Installed(name, "any", version, name, sections=sections)


def adds(*names: str) -> Simulation:
    return Simulation(tuple(Printed(n, "2-1", "test", 10, f"http://x/{n}-2-1-any.pkg.tar.gz") for n in names))


@pytest.mark.parametrize(
    ("constraint", "met"),
    [
        ("p", True),
        ("p=2-1", True),
        ("p<2", False),
        ("p>=1", True),
        ("q", False),
        ("virtual", True),
        ("virtual=1", False),
    ],
)
def test_constraints(constraint: str, *, met: bool) -> None:
    assert plan.satisfied(constraint, "p", "2-1", ("virtual",), compare) is met


def test_replaced_and_conflicting_packages_go_away() -> None:
    metadata = {"new": Metadata("new", replaces=("old",), conflicts=("old", "q<2"))}
    replaced, conflicting = plan.goes_away(adds("new"), metadata, [have("old"), have("q"), have("r")], compare)
    assert [(p.name, by) for p, by in replaced] == [("old", "new")]
    assert [(p.name, by) for p, by in conflicting] == [("q", "new")]


def test_conflict_that_the_installed_package_declares() -> None:
    _, conflicting = plan.goes_away(adds("new"), {}, [have("q", CONFLICTS=("new",))], compare)
    assert [p.name for p, _ in conflicting] == ["q"]


def test_without_leave_to_remove_a_conflict_is_refused() -> None:
    conflicting = ((have("q"), "new"),)
    refused = plan.refuse_conflicts(conflicting, Bounds())
    assert refused is not None
    assert "new is in conflict with q" in refused.reason
    assert plan.refuse_conflicts(conflicting, Bounds(allow_removals=True)) is None


def test_transaction_and_its_inverse() -> None:
    found = plan.transaction_of(adds("p", "new"), {}, [have("p"), have("old")], [have("old")])
    assert [(a.kind, a.name, a.before, a.after) for a in found.actions] == [
        (ActionKind.INSTALL, "new", "", "2-1"),
        (ActionKind.REMOVE, "old", "1-1", ""),
        (ActionKind.UPGRADE, "p", "1-1", "2-1"),
    ]
    back = plan.inverse_of(found)
    assert [(a.kind, a.name, a.before, a.after) for a in back.actions] == [
        (ActionKind.REMOVE, "new", "2-1", ""),
        (ActionKind.INSTALL, "old", "", "1-1"),
        (ActionKind.DOWNGRADE, "p", "2-1", "1-1"),
    ]
    assert plan.inverse_of(back).digest == found.digest


def test_what_was_asked_for_has_to_come_as_it_was_named() -> None:
    found = plan.transaction_of(adds("p"), {}, [have("p")], [])
    assert plan.refuse_unasked([UpdateRef("p", "2-1"), UpdateRef("absent", "1-1")], found, [have("p")], compare) is None
    newer = plan.refuse_unasked([UpdateRef("p", "3-1")], found, [have("p")], compare)
    assert isinstance(newer, Refused)
    assert newer.code == "lists_stale"
    old = plan.refuse_unasked([UpdateRef("p", "1.5-1")], found, [have("p")], compare)
    assert isinstance(old, Refused)
    assert "the repositories now have 2-1" in old.reason


def test_more_than_was_asked_for_is_explained() -> None:
    found = plan.transaction_of(adds("p", "q"), {}, [have("p"), have("q")], [])
    (sentence,) = plan.explain_whole([UpdateRef("p", "2-1")], found)
    assert sentence == (
        "pacman supports no partial upgrades: the transaction is the whole upgrade of 2 packages, "
        "with q that were not asked for"
    )
    assert plan.explain_whole([UpdateRef("p", "2-1"), UpdateRef("q", "2-1")], found) == ()


def test_proof_is_by_state() -> None:
    found = plan.transaction_of(adds("p"), {}, [have("p")], [have("old")])
    assert plan.unproven(found, [have("p", "2-1")]) == ()
    assert plan.unproven(found, [have("p"), have("old")]) == (
        "old should be gone, but 1-1 is there (ii)",
        "p should be 2-1, but is 1-1 (ii)",
    )
    assert plan.unproven(found, []) == ("p should be 2-1, but is not installed",)


def test_changes() -> None:
    changes = changes_between([have("p"), have("old")], [have("p", "2-1"), have("new", "1-1")])
    assert [(c.name, c.before, c.after) for c in changes] == [
        ("new", "", "1-1"),
        ("old", "1-1", ""),
        ("p", "1-1", "2-1"),
    ]


def expected(**more: object) -> dict[str, object]:
    return {"add": ["p"], "remove": ["old"], "before": [], "local": "/", "databases": {}, **more}


@pytest.mark.parametrize(
    ("kind", "names", "said"),
    [
        ("add", {"p"}, []),
        ("add", {"p", "q"}, ["not ordered: add q"]),
        ("add", set(), ["ordered, but not to happen: add p"]),
        ("remove", {"old"}, []),
        ("remove", {"old", "q"}, ["not ordered: remove q"]),
    ],
)
def test_hook_compares_names(kind: str, names: set[str], said: list[str]) -> None:
    assert hook.differences(expected(), kind, names) == said


def test_modules_of_the_running_kernel() -> None:
    assert kernel_reason("6.1-arch", ["6.1-arch", "6.2-arch"]) == ""
    assert kernel_reason("6.1-arch", []) == ""
    assert kernel_reason("6.1-arch", ["6.2-arch"]) == (
        "the modules of the running kernel 6.1-arch are gone; on disk: 6.2-arch"
    )


def test_archive_of_exactly_this_version() -> None:
    files = ["p-1-1-any.pkg.tar.zst.sig", "p-1-1-any.pkg.tar.zst", "p-1-10-any.pkg.tar.zst"]
    assert plan.archive_of("p", "1-1", "any", files) == "p-1-1-any.pkg.tar.zst"
    assert plan.archive_of("p", "2-1", "any", files) == ""
