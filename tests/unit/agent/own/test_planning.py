"""Which own packages would change, and how a script's end is told: pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.ownpackages import package, script, signed

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.runner import Ran
from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.agent.providers.own.planning import no_way_back, plan
from brakeline.agent.providers.own.running import SAID_BYTES_MAX, judge
from brakeline.agent.providers.own.shelf import Shelf
from brakeline.protocol.content import BUILT_IN, BrokenVersion, Rules
from brakeline.protocol.messages import ActionKind, UpdateRef
from brakeline.protocol.software import Document, Script

ONE, TWO, TEN = (signed(package(version=v)) for v in ("1", "2", "1.10"))
SHELF = Shelf(Path("/nowhere"), (ONE, TWO, TEN))


def here(version: str, state: str = "ii") -> dict[str, Installed]:
    return {"payroll": Installed("payroll", "own", version, "payroll", version, state)}


def asked(document: Document, have: dict[str, Installed], **more: Any) -> Planned | Refused:
    words = {"shelf": SHELF, "bounds": Bounds(), "content": BUILT_IN, "doubt": lambda _: ""} | more
    return plan((UpdateRef(f"{document.software.name}:own", document.version),), have, **words)  # type: ignore[arg-type]


def test_the_newest_is_by_number_and_not_by_letters() -> None:
    assert SHELF.newest()["payroll"] == TWO
    assert Shelf(Path(), (ONE, TEN)).newest()["payroll"] == TEN


@pytest.mark.parametrize(
    ("document", "have", "said"),
    [
        (ONE, {}, (ActionKind.INSTALL, "", ONE.version)),
        (TWO, here(ONE.version), (ActionKind.UPGRADE, ONE.version, TWO.version)),
        (TWO, here("0.9"), (ActionKind.UPGRADE, "0.9", TWO.version)),
        (TWO, here(TWO.version, "iF"), (ActionKind.UPGRADE, TWO.version, TWO.version)),  # its script failed: once more
        (TWO, here(TWO.version), "nothing_to_do"),
        (ONE, here(TWO.version), "nothing_to_do"),
        (TWO, here("2"), "nothing_to_do"),  # somebody else brought this version: it is not brought again
        (TWO, here(ONE.version, "hi"), "held"),
    ],
)
def test_what_would_be_done(document: Document, have: dict[str, Installed], said: Any) -> None:
    answer = asked(document, have)
    if isinstance(answer, Refused):
        assert answer.code == said
    else:
        (action,) = answer.transaction.actions
        assert (action.kind, action.before, action.after) == said


def test_bounds_content_and_doubt_refuse() -> None:
    refused = [
        asked(ONE, {}, bounds=Bounds(allow_new_packages=False)),
        asked(ONE, {}, bounds=Bounds(without=(UpdateRef("payroll", ONE.version),))),
        asked(ONE, {}, content=Rules(broken_versions=(BrokenVersion("payroll", (ONE.version,), "it forgets"),))),
        asked(ONE, {}, doubt=lambda _: "Nobody signed it."),
    ]
    assert [r.code for r in refused if isinstance(r, Refused)] == [
        "refused", "quarantined", "known_broken", "not_allowed",
    ]  # fmt: skip


def test_whether_there_is_a_way_back() -> None:
    assert no_way_back(TWO, here(ONE.version)["payroll"], SHELF) == ""
    assert no_way_back(TWO, None, SHELF) == ""
    assert "is not on this endpoint" in no_way_back(TWO, here("1")["payroll"], SHELF)
    bare = package(way_back="none")
    del bare["uninstall"]
    assert "its author" not in no_way_back(TWO, None, SHELF)
    assert "nothing takes it back" in no_way_back(signed(bare), None, SHELF)


@pytest.mark.parametrize(
    ("ran", "code", "says"),
    [
        (Ran(0, "fine\n"), "", ""),
        (Ran(3010, ""), "", ""),
        (Ran(1, "no\nlicence?"), "maintainer_script_failed", "ended with 1: licence?"),
        (Ran(-9, "x\n"), "maintainer_script_failed", "ended by signal 9: x."),
        (Ran(-9, "Continue [y/N]?", timed_out=True), "timeout", "asked “Continue [y/N]?”"),
        (Ran(-9, "y\n" * SAID_BYTES_MAX, timed_out=True), "output", "said more than 1 MiB"),
    ],
)
def test_how_a_script_ended_is_told(ran: Ran, code: str, says: str) -> None:
    said = judge("install", Script("sh", "x", success=(0, 3010)), ran, 60)
    assert (said.code, says in said.wrong, len(said.lines) <= 20) == (code, True, True)


def test_a_package_of_another_name_is_nobody_s_business() -> None:
    other = signed(package("other", install=script("true")))
    assert asked(other, {}) == Refused(
        "nothing_to_do", "Every package is installed already, or is none of this endpoint's content."
    )
