"""Steps of installed software from inventories, the first of them a beginning."""

from __future__ import annotations

from dataclasses import replace

from brakeline.fleet.decide import Apply, Held
from brakeline.fleet.history import CHANGES_MAX, Changed, Step, step
from brakeline.protocol.messages import Package

A = Package("a", "amd64", "1", "a", "1")
HELD = Held(3, "d")


def test_the_first_inventory_is_a_beginning() -> None:
    made = step(Held(), {}, Apply((A,), (), 1), 1, 10)
    assert made == Step(1, 10, 1, (), 0, first=True)


def test_installed_removed_and_changed() -> None:
    b = Package("b", "all", "7", "b", "7")
    made = step(HELD, {"a:amd64": A, "c:amd64": replace(A, name="c")}, Apply((replace(A, version="2"), b),
                ("c:amd64",), 2), 4, 10)  # fmt: skip
    assert made is not None
    assert [(c.name, c.kind, c.before, c.after) for c in made.changes] == [
        ("a", "changed", "1", "2"), ("b", "installed", "", "7"), ("c", "removed", "1", ""),
    ]  # fmt: skip


def test_what_left_only_its_configuration_is_removed_and_other_fields_are_no_change() -> None:
    made = step(HELD, {"a:amd64": A}, Apply((replace(A, state="rc"),), (), 1), 4, 10)
    assert made is not None
    assert made.changes == (Changed("a", "amd64", "1", ""),)
    assert step(HELD, {"a:amd64": A}, Apply((replace(A, origin="Debian"),), (), 1), 4, 10) is None


def test_a_very_large_step_is_counted_beyond_its_bound() -> None:
    many = tuple(replace(A, name=f"p{i}") for i in range(CHANGES_MAX + 5))
    made = step(HELD, {}, Apply(many, (), len(many)), 4, 10)
    assert made is not None
    assert (len(made.changes), made.total) == (CHANGES_MAX, CHANGES_MAX + 5)
