"""What a transaction of rpm is, its inverse, what is left of one, and what came of it."""

from __future__ import annotations

import ast
from pathlib import Path

from brakeline.agent.providers.dnf import asking
from brakeline.agent.providers.dnf import plan as deciding
from brakeline.agent.providers.dnf.answers import (
    MARK,
    Installed,
    answer_of,
    installed_of,
    packages_of,
    pending_of,
    source_of,
)
from brakeline.agent.providers.dnf.asking import CHILD, PARTS, source
from brakeline.agent.providers.dnf.conffiles import parse
from brakeline.agent.providers.dnf.recovery import broken_files
from brakeline.agent.providers.dnf.restarts import newer_than
from brakeline.agent.providers.model import Inverse, Refused
from brakeline.protocol.messages import ActionKind, UpdateState

ROWS = [
    ["p", "noarch", "1-1", "2-1"],
    ["q", "noarch", "", "1-1"],
    ["r", "x86_64", "1:1-1", ""],
    ["s", "noarch", "2-1", "1-1"],
]


def have(*packages: tuple[str, str], several: bool = False) -> tuple[Installed, ...]:
    return tuple(Installed(n, "noarch", v, several=several) for n, v in packages)


def test_kinds_follow_rpms_order() -> None:
    found = deciding.transaction_of(ROWS)
    assert [a.kind for a in found.actions] == [
        ActionKind.UPGRADE, ActionKind.INSTALL, ActionKind.REMOVE, ActionKind.DOWNGRADE,
    ]  # fmt: skip
    assert deciding.rows_of(found) == ROWS
    assert deciding.transaction_of([["p", "noarch", "1:1-1", "9-1"]]).actions[0].kind is ActionKind.DOWNGRADE


def test_twice_inverted_is_the_same() -> None:
    found = deciding.transaction_of(ROWS)
    assert deciding.inverse_of(deciding.inverse_of(found)) == found


def test_what_is_left_of_a_way_back() -> None:
    inverse = Inverse(
        "tx_1", "ro_1", deciding.transaction_of([["p", "noarch", "2-1", "1-1"], ["q", "noarch", "1-1", ""]]), ()
    )
    left = deciding.left_to_do(inverse, deciding.known(have(("p", "1-1"), ("q", "1-1"))))
    assert not isinstance(left, Refused)
    assert [a.name for a in left.actions] == ["q"]
    done = deciding.left_to_do(inverse, deciding.known(have(("p", "1-1"))))
    assert isinstance(done, Refused)
    assert done.code == "nothing_to_do"
    since = deciding.left_to_do(inverse, deciding.known(have(("p", "3-1"), ("q", "1-1"))))
    assert isinstance(since, Refused)
    assert (since.code, since.reason) == ("changed", "p is 3-1 now, not 2-1: changed since.")


def test_a_record_that_is_doubled_is_no_proof() -> None:
    ordered = deciding.transaction_of([["p", "noarch", "1-1", "2-1"]])
    both = have(("p", "1-1"), ("p", "2-1"))
    assert deciding.unproven(ordered, have(("p", "2-1"))) == ()
    assert deciding.unproven(ordered, both) == ("p 1-1 should be gone, but is still recorded",)
    assert deciding.unproven(ordered, have(("p", "1-1"))) == ("p should be 2-1, but is 1-1",)
    assert "run was interrupted" in deciding.problems_of(both)[0]
    assert deciding.problems_of(have(("kernel", "1-1"), ("kernel", "2-1"), several=True)) == ()


def test_changes_are_paired() -> None:
    found = deciding.changes_between(
        deciding.known(have(("p", "1-1"), ("q", "1-1"))), deciding.known(have(("p", "2-1")))
    )
    assert [(c.name, c.before, c.after, c.state) for c in found] == [("p", "1-1", "2-1", "ii"), ("q", "1-1", "", "un")]


def test_what_was_not_ordered_is_told() -> None:
    ordered = deciding.transaction_of([["p", "noarch", "1-1", "2-1"]])
    before, after = deciding.known(have(("p", "1-1"), ("q", "1-1"))), deciding.known(have(("p", "2-1")))
    assert deciding.unordered(ordered, before, after) == ("q went from 1-1 to nothing, which was not ordered",)
    assert deciding.unordered(ordered, before, deciding.known(have(("p", "2-1"), ("q", "1-1")))) == ()


def test_answers_are_read_and_nothing_else() -> None:
    assert answer_of('noise\n\x1ebrakeline-dnf {"a": 1}\n') == {"a": 1}
    assert answer_of("noise") is None
    assert answer_of('\x1ebrakeline-dnf {"a": ') is None
    assert source_of("libfoo-bar-1.0-2.el9.src.rpm", 3) == ("libfoo-bar", "3:1.0-2.el9")
    assert source_of("", 0) == ("", "")


def test_of_several_kernels_the_newest_is_in_the_inventory() -> None:
    row = {"name": "kernel", "arch": "x86_64", "source": "", "epoch": 0, "origin": "", "vendor": "V", "several": True,
           "installed_s": 5}  # fmt: skip
    found = packages_of(installed_of([{**row, "version": "10-1"}, {**row, "version": "9-1"}]), frozenset())
    assert [(p.version, p.origin, p.ecosystem) for p in found] == [("10-1", "V", "rpm")]
    assert newer_than(4, installed_of([{**row, "version": "9-1"}])) == ("kernel",)
    assert newer_than(6, installed_of([{**row, "version": "9-1"}])) == ()


def test_a_change_of_vendor_is_said() -> None:
    row = {"name": "p", "arch": "noarch", "installed": "1-1", "candidate": "2-1", "repository": "ex", "size": 3,
           "advisories": ["A"], "security": True, "state": "available", "reason": "",
           "vendor": ["One", "Two"]}  # fmt: skip
    (found,) = pending_of([row])
    assert (found.state, found.suite, found.reason) == (
        UpdateState.AVAILABLE,
        "ex A",
        "Its vendor changes from One to Two.",
    )


def test_files_of_rpm() -> None:
    text = "/etc/a\t17\t" + "0" * 64 + "\n/opt/b\t0\t" + "1" * 64 + "\n/etc/d\t1\t\n"
    assert parse(text) == {"/etc/a": "0" * 64}
    verified = "S.5......    /opt/p/version\nmissing     /opt/q\nS.5......  c /etc/p.conf\n"
    assert broken_files(verified) == ("/opt/p/version", "/opt/q")


def test_the_child_is_readable_for_the_oldest_python_that_has_dnf() -> None:
    text = source()
    ast.parse(text, feature_version=(3, 6))
    names = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert all("brakeline" not in ast.unparse(n) and "__future__" not in ast.unparse(n) for n in names)
    assert "MARK = " + repr(MARK).replace("'", '"') in text


def test_the_parts_of_the_child_are_one_program() -> None:
    """All of them, each after what it uses, and no name of one is taken by another."""
    directory = Path(asking.__file__).parent / "child"
    assert sorted(p.stem for p in directory.glob("*.py")) == sorted(PARTS)
    defined: list[str] = []
    for part in PARTS:
        tree = ast.parse((directory / f"{part}.py").read_text())
        ours = [n for n in tree.body if isinstance(n, ast.ImportFrom) and str(n.module).startswith(CHILD)]
        assert {name.name for n in ours for name in n.names} <= set(defined), part
        assert all(name.asname is None for n in ours for name in n.names), part
        defined += [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        assigned = [n.targets[0] for n in tree.body if isinstance(n, ast.Assign)]
        defined += [n.id for n in assigned if isinstance(n, ast.Name)]
    assert len(defined) == len(set(defined))
