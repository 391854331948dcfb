"""Programs of Windows as a provider, on a Windows in memory; real packages in wine: system/test_windows_programs.py."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refreshed, Refused
from brakeline.agent.providers.windows import lines, listed
from brakeline.agent.providers.windows.box import Ended
from brakeline.agent.providers.windows.fake import FakeBox, package
from brakeline.agent.providers.windows.provider import HOLDS, LIST, UNREAD, ProgramsProvider
from brakeline.core.clock import ManualClock
from brakeline.protocol.messages import Outcome, Transaction, TransactionResult, UpdateRef, UpdateState

UPGRADE = "{7C1E9D4A-52B3-4A86-9F0E-6D2B8A41C0F3}"
VIEWER = "{8D2FAE5B-63C4-4B97-8A1F-7E3C9B52D104}"
ONE, TWO, THREE, FOUR = (f"{{1B7A3E55-0D7C-4C55-8F11-93B2D5A6E00{n}}}" for n in (1, 2, 3, 4))


class Endpoint:
    """Version 1 of reader (MSI) and of tool (Inno Setup) are there; the owner lists both in two versions."""

    def __init__(self, work: Path) -> None:
        self.work, self.box, self.clock = work, FakeBox(), ManualClock()
        self.rows = [
            self.row("reader", "1.0", "msi", product=ONE, upgrade=UPGRADE),
            self.row("reader", "2.0", "msi", product=TWO, upgrade=UPGRADE),
            self.row("tool", "1.0", "exe", key="Tool_is1", made_by="inno"),
            self.row("tool", "2.0", "exe", key="Tool_is1", made_by="inno"),
        ]
        self.write_list()
        self.box.put("Reader 1.0", "1.0", ONE, UPGRADE)
        self.box.put("Tool", "1.0", key="Tool_is1", uninstall='"C:\\Tool\\unins000.exe"')

    @property
    def provider(self) -> ProgramsProvider:
        return ProgramsProvider(
            self.clock, Machine(root=self.work), box=self.box, pause=lambda s: self.clock.advance(s)
        )

    def row(self, name: str, version: str, kind: str, **more: Any) -> dict[str, Any]:
        file = self.work / f"{name}-{version}"
        file.write_bytes(package(name=f"{name.title()} {version}", version=version,
                                 **{k: v for k, v in more.items() if k != "made_by"}))  # fmt: skip
        data = file.read_bytes()
        more.pop("code", None)
        return {"name": name, "version": version, "kind": kind, "from": str(file), "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(), **more}  # fmt: skip

    def write_list(self) -> None:
        self.write(LIST, json.dumps({"format": 1, "packages": self.rows}))

    def write(self, path: str, text: str) -> None:
        place = self.work / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def plan(self, name: str, version: str = "2.0", bounds: Bounds | None = None) -> Planned | Refused:
        return self.provider.plan((UpdateRef(name, version),), bounds or Bounds())

    def planned(self, name: str, version: str = "2.0") -> Transaction:
        found = self.plan(name, version)
        assert isinstance(found, Planned), found
        return found.transaction

    def apply(self, transaction: Transaction, bounds: Bounds | None = None, **more: Any) -> TransactionResult:
        self.said: list[str] = []
        made = Order("tx_1", "of_1", "ro_1", 1, transaction, bounds or Bounds(), **more)
        return self.provider.apply(made, self.said.append)

    def has(self, name: str) -> str:
        return next((p.version for p in self.provider.installed() if p.name == name), "")


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    return Endpoint(tmp_path)


def test_every_program_is_told_and_only_those_of_the_list_can_wait(endpoint: Endpoint) -> None:
    endpoint.box.put("7-Zip 23.01 (x64)", "23.01", key="7-Zip")
    packages, waits = endpoint.provider.survey()
    assert [(p.name, p.architecture, p.version, p.origin) for p in packages] == [
        ("7-zip-23.01-x64", "x64", "23.01", "Test"), ("reader", "x64", "1.0", "programs.json"),
        ("tool", "x64", "1.0", "programs.json"),
    ]  # fmt: skip
    assert [(w.name, w.installed, w.candidate) for w in waits] == [("reader", "1.0", "2.0"), ("tool", "1.0", "2.0")]


def test_the_exact_line_is_started_and_stands_in_the_log(endpoint: Endpoint) -> None:
    endpoint.rows[1]["properties"] = {"ALLUSERS": "1", "DIR": "C:\\Program Files\\R"}
    endpoint.write_list()
    result = endpoint.apply(endpoint.planned("reader"))
    assert (result.outcome, endpoint.has("reader")) == (Outcome.INSTALLED, "2.0")
    (line,) = endpoint.box.lines
    assert line.startswith('msiexec.exe /i "')
    assert line.count(endpoint.rows[1]["sha256"]) == 1
    assert ' /qn /norestart REBOOT=ReallySuppress ALLUSERS="1" DIR="C:\\Program Files\\R" /l*v "' in line
    assert any(line in said and endpoint.rows[1]["sha256"] in said for said in endpoint.said)


def test_an_installer_of_another_kind_is_started_by_its_silent_words(endpoint: Endpoint) -> None:
    result = endpoint.apply(endpoint.planned("tool"))
    assert (result.outcome, endpoint.has("tool")) == (Outcome.INSTALLED, "2.0")
    assert endpoint.box.lines[0].endswith('.exe" /VERYSILENT /SUPPRESSMSGBOXES /NORESTART /SP-')
    assert result.way_back is not None
    assert "none of those puts an older version back" in result.way_back.reason


@pytest.mark.parametrize(
    ("change", "part"),
    [({"made_by": "somebody"}, "never started"), ({"made_by": ""}, "never started"), ({"kind": "msu"}, "kind is"),
     ({"sha256": "00"}, "sha256"), ({"extra": "x"}, "unknown key"), ({"bytes": "7"}, "wrong kind"),
     ({"name": "A B"}, "name"), ({"from": 'x" /quiet'}, "from"), ({"key": "..\\Run"}, "key below")],
)  # fmt: skip
def test_a_line_that_makes_no_sense_is_told_and_keeps_the_others(
    change: dict[str, Any], part: str, endpoint: Endpoint
) -> None:
    endpoint.rows[3] |= change
    endpoint.write_list()
    health = endpoint.provider.health()
    assert (health.healthy, len(health.problems), part in health.problems[0]) == (True, 1, True)
    assert len(endpoint.provider.catalogue().packages) == 3


@pytest.mark.parametrize("value", ['a" TRANSFORMS=x', "%TEMP%", "a\nb"])
def test_no_property_gets_out_of_its_quotes(value: str, endpoint: Endpoint) -> None:
    endpoint.rows[1]["properties"] = {"X": value}
    assert "properties" in str(listed.entry(endpoint.rows[1]))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff\xfe{", b"[" * 100_000, b'{"format": 2, "packages": []}',
                                  b" " * (listed.LIST_BYTES_MAX + 1)])  # fmt: skip
def test_a_list_that_is_none_is_told(data: bytes) -> None:
    found = listed.read(data)
    assert (found.packages, len(found.problems)) == ((), 1)
    assert listed.read(None).absent


@pytest.mark.parametrize(
    ("ended", "code", "part"),
    [(Ended(1603), "failed", "(1603)"), (Ended(1625), "refused", "policy"), (Ended(0), "verify_failed", "success"),
     (Ended(137, timed_out=True), "timeout", "Not finished after 3600 s")],
)  # fmt: skip
def test_a_number_gives_the_reason_and_the_registry_the_outcome(
    ended: Ended, code: str, part: str, endpoint: Endpoint
) -> None:
    endpoint.box.script = [ended]
    result = endpoint.apply(endpoint.planned("reader"))
    assert (result.outcome, result.code, part in result.detail) == (Outcome.FAILED, code, True), result.detail
    assert "reader should be 2.0, but is 1.0" in result.detail
    assert result.changes == ()


def test_a_number_that_says_failure_does_not_undo_what_is_there(endpoint: Endpoint) -> None:
    made = endpoint.planned("reader")
    box = endpoint.box
    real, box.run = box.run, lambda line, s: (real(line, s), Ended(1603))[1]  # type: ignore[method-assign]
    result = endpoint.apply(made)
    assert (result.outcome, "Its number said otherwise" in result.detail) == (Outcome.INSTALLED, True)


def test_what_cannot_be_started_is_told(endpoint: Endpoint) -> None:
    endpoint.box.script = [OSError(2, "no such file")]
    result = endpoint.apply(endpoint.planned("reader"))
    assert (result.outcome, "could not be started: no such file" in result.detail) == (Outcome.FAILED, True)


def test_a_restart_is_told_and_never_begun(endpoint: Endpoint) -> None:
    endpoint.rows[1] = endpoint.row("reader", "2.0", "msi", product=TWO, upgrade=UPGRADE, code=3010)
    endpoint.write_list()
    result = endpoint.apply(endpoint.planned("reader"))
    assert (result.outcome, "A restart is due." in result.detail) == (Outcome.INSTALLED, True)
    endpoint.box.hive = {r"system\currentcontrolset\services\netlogon": {"joindomain": 1}}
    assert endpoint.provider.reboot_need().required


def test_the_log_of_a_failure_names_the_action_in_any_language() -> None:
    english = "Action ended 10:33:21: InstallFiles. Return value 3.\nAction ended 10:33:22: INSTALL. Return value 3."
    german = "Fehler 1925. Keine Rechte\nAktion beendet um 10:33:21: InstallFiles. Rückgabewert 3."
    assert lines.cause(english) == "its action InstallFiles failed"
    assert lines.cause(german) == "its action InstallFiles failed, error 1925"
    assert lines.cause("Action ended 10:33:21: InstallFiles. Return value 1.") == ""
    assert lines.text_of(b"\xff\xfe" + english.encode("utf-16-le")) == english
    assert lines.cause(lines.text_of(b"\x00\x9f" * 10_000_000)) == ""


def test_whoever_installs_is_waited_for_and_named(endpoint: Endpoint) -> None:
    who = "Windows Installer (C:\\x.msi)"
    made = endpoint.planned("reader")
    endpoint.box.holders = [who] * 3
    assert endpoint.apply(made).outcome is Outcome.INSTALLED
    other = endpoint.planned("tool")
    endpoint.box.holders = [who] * 1000
    result = endpoint.apply(other, Bounds(lock_wait_s=30))
    assert (result.outcome, result.code, who in result.detail) == (Outcome.REFUSED, "lock_timeout", True)
    assert endpoint.has("tool") == "1.0"


def test_an_installation_that_came_between_is_waited_for(endpoint: Endpoint) -> None:
    made = endpoint.planned("reader")
    endpoint.box.script = [Ended(1618), Ended(1618)]
    assert endpoint.apply(made).outcome is Outcome.INSTALLED
    assert len(endpoint.box.lines) == 3


def test_a_file_that_is_another_changes_nothing(endpoint: Endpoint) -> None:
    made = endpoint.planned("reader")
    (endpoint.work / "reader-2.0").write_bytes(b"x" * endpoint.rows[1]["bytes"])
    result = endpoint.apply(made)
    assert (result.outcome, result.code, endpoint.box.lines) == (Outcome.REFUSED, "hash_mismatch", [])
    (endpoint.work / "reader-2.0").write_bytes(b"x" * 100_000)
    assert endpoint.apply(made).code == "hash_mismatch"


def test_a_depot_that_is_away_is_no_network(endpoint: Endpoint) -> None:
    assert isinstance(endpoint.provider.refresh(), Refreshed)
    (endpoint.work / "reader-2.0").unlink()
    answer = endpoint.provider.refresh()
    assert isinstance(answer, Refused)
    assert (answer.code, "reader 2.0" in answer.reason) == ("no_network", True)
    result = endpoint.apply(endpoint.planned("reader"))
    assert (result.outcome, result.code) == (Outcome.REFUSED, "network")


def test_the_way_back_is_stored_beforehand_and_taken_exactly(endpoint: Endpoint) -> None:
    endpoint.apply(endpoint.planned("reader"))
    endpoint.rows = endpoint.rows[1:]  # the list has it no more, and its file is gone
    endpoint.write_list()
    (endpoint.work / "reader-1.0").unlink()
    left = endpoint.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse)
    endpoint.box.lines.clear()
    bounds = Bounds(allow_downgrades=True, allow_removals=True)
    result = endpoint.apply(left.transaction, bounds, inverse=left)
    assert (result.outcome, endpoint.has("reader")) == (Outcome.INSTALLED, "1.0"), result.detail
    assert [line[:14] for line in endpoint.box.lines] == [f"msiexec.exe /{x}"[:14] for x in ("x ", "i ")]
    again = endpoint.provider.undo("ro_1", look=True)
    assert isinstance(again, Refused)
    forged = endpoint.apply(left.transaction, bounds)
    assert forged.outcome is Outcome.REFUSED


def test_what_came_anew_is_taken_away_again(endpoint: Endpoint) -> None:
    endpoint.box.programs.pop(ONE)
    assert endpoint.apply(endpoint.planned("reader")).outcome is Outcome.INSTALLED
    left = endpoint.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse)
    result = endpoint.apply(left.transaction, Bounds(allow_removals=True), inverse=left)
    assert (result.outcome, endpoint.has("reader")) == (Outcome.INSTALLED, "")


def test_second_order_of_a_rollout_keeps_the_way_back_from_the_first(endpoint: Endpoint) -> None:
    endpoint.rows += [
        endpoint.row("viewer", v, "msi", product=p, upgrade=VIEWER) for v, p in (("1.0", THREE), ("2.0", FOUR))
    ]
    endpoint.write_list()
    endpoint.box.put("Viewer 1.0", "1.0", THREE, VIEWER)
    for name in ("reader", "viewer"):
        assert endpoint.apply(endpoint.planned(name)).code == "ok"
    left = endpoint.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    assert [a.name for a in left.transaction.actions] == ["reader", "viewer"]


def test_no_way_back_is_known_when_it_is_planned(endpoint: Endpoint) -> None:
    endpoint.rows = endpoint.rows[1:]
    endpoint.write_list()
    found = endpoint.plan("reader")
    assert isinstance(found, Planned)
    assert found.no_way_back == ("reader",)
    kept = endpoint.apply(found.transaction).way_back
    assert kept is not None
    assert (kept.stored, "reader 1.0 is neither" in kept.reason) == (False, True)


def test_programs_of_one_user_and_two_beside_each_other_are_left(endpoint: Endpoint) -> None:
    endpoint.box.put("Reader", "1.0", ONE, UPGRADE, user="S-1-5-21-1-2-3-1001")
    (waits, _) = endpoint.provider.available()
    assert (waits.state, "user's session" in waits.reason) == (UpdateState.KEPT_BACK, True)
    assert waits.architecture.startswith("x64-user-")
    found = endpoint.plan("reader")
    assert isinstance(found, Refused)
    assert found.code == "refused"
    endpoint.box.put("Reader 1.0", "1.0", ONE, UPGRADE)
    endpoint.box.programs[TWO] = replace(endpoint.box.programs[ONE], key=TWO)
    endpoint.box.codes[TWO] = UPGRADE
    assert {w.state for w in endpoint.provider.available() if w.name != "tool"} == {UpdateState.KEPT_BACK}


def test_held_quarantined_and_older_versions(endpoint: Endpoint) -> None:
    made = endpoint.planned("reader")
    found = endpoint.plan("reader", bounds=Bounds(without=(UpdateRef("reader", "2.0"),)))
    assert isinstance(found, Refused)
    assert found.code == "quarantined"
    endpoint.write(HOLDS, "reader\n")
    assert endpoint.apply(made).code == "held"
    endpoint.write(HOLDS, "")
    endpoint.apply(made)
    assert isinstance(endpoint.plan("reader", "1.0"), Refused)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe" + "reader\r\n".encode("utf-16-le"), b"\xef\xbb\xbfreader\r\n",
        b"# ours\nReader # until May\n", None,
    ],
)  # fmt: skip
def test_hold_in_whatever_windows_writes_holds(endpoint: Endpoint, data: bytes | None) -> None:
    """PowerShell writes UTF-16, an editor a mark in front; a list that is there and cannot be read may say any."""
    endpoint.write(HOLDS, "")
    path = endpoint.work / HOLDS.lstrip("/")
    if data is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(data)
    refused = endpoint.plan("reader")
    assert isinstance(refused, Refused), refused
    assert refused.code == "held"
    assert endpoint.provider.health().problems == ((UNREAD,) if data is None else ())


def test_disk_that_takes_nothing_before_the_first_installer_is_a_refusal(endpoint: Endpoint) -> None:
    """Not a failure: that would count against the update, which nobody has begun."""
    made = endpoint.planned("reader")
    endpoint.write("/ProgramData/Brakeline/helper/tx/tx_1", "no directory")
    result = endpoint.apply(made)
    assert (result.outcome, result.code, endpoint.has("reader")) == (Outcome.REFUSED, "no_space", "1.0"), result.detail
    assert "nothing was changed" in endpoint.said[-1]


def test_a_lost_run(endpoint: Endpoint) -> None:
    made = Order("tx_1", "of_1", "ro_1", 1, endpoint.planned("reader"))
    assert endpoint.provider.recover(made, [].append).code == "interrupted_unchanged"
    endpoint.box.script = [Ended(137, timed_out=True)]
    endpoint.apply(made.transaction)
    result = endpoint.provider.recover(made, [].append)
    assert (result.code, endpoint.has("reader")) == ("interrupted_repaired", "2.0")
    tool = replace(made, transaction=endpoint.planned("tool"), transaction_id="tx_2")
    endpoint.box.script = [Ended(137, timed_out=True)]
    endpoint.provider.apply(tool, [].append)
    assert endpoint.provider.recover(tool, [].append).code == "interrupted_unchanged"  # an EXE is not run again
    assert endpoint.has("tool") == "1.0"
