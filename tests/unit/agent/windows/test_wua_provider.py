"""Windows Update as a provider, against recorded answers made after the documented form: not run on the real system."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from brakeline.agent.providers.apt.inverse import inverse_of
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.model import Bounds, Inverse, Order, Planned, Refreshed, Refused
from brakeline.agent.providers.windows import wua_answers
from brakeline.agent.providers.windows.box import NoAnswer
from brakeline.agent.providers.windows.fake import FakeBox
from brakeline.agent.providers.windows.wua import SECURITY
from brakeline.agent.providers.windows.wua_driver import PowerShell, Recorded, Said
from brakeline.agent.providers.windows.wua_provider import WuaProvider
from brakeline.agent.providers.windows.wua_script import SCRIPT
from brakeline.core.clock import ManualClock
from brakeline.protocol.messages import Outcome, Transaction, TransactionResult, UpdateRef, UpdateState

A, B, C = (f"{n}a3bb521-0000-4e26-a563-2ad6e3108b9a" for n in "abc")
NO_SERVER = -2145107924  # 0x8024402C as PowerShell writes it


def update(id_: str, kb: str, revision: int = 200, **more: Any) -> dict[str, Any]:
    return {
        "Identity": {"UpdateID": id_, "RevisionNumber": revision}, "Title": f"累積更新 KB{kb}", "KBArticleIDs": [kb],
        "SupersededUpdateIDs": [], "Categories": [{"CategoryID": SECURITY}], "Type": 1, "EulaAccepted": True,
        "MaxDownloadSize": 1000, "IsUninstallable": True, **more,
    }  # fmt: skip


def search(*updates: dict[str, Any], **more: Any) -> Said:
    base = {"format": 1, "verb": "search", "error": None, "result_code": 2, "policy": {}, "restart": False}
    return Said(json.dumps({**base, "busy": False, "updates": updates, **more}).encode())


def done(*results: tuple[str, int, int], verb: str = "install", **more: Any) -> Said:
    rows = [{"id": v.rpartition(".")[0], "revision": int(v.rpartition(".")[2]), "code": c, "hresult": h}
            for v, c, h in results]  # fmt: skip
    return Said(json.dumps({"format": 1, "verb": verb, "error": None, "results": rows, **more}).encode())


class Endpoint:
    def __init__(self, work: Path, searches: Sequence[Said], **answers: Sequence[Said]) -> None:
        self.driver, self.clock = Recorded({"search": searches, **answers}), ManualClock()
        self.provider = WuaProvider(
            self.clock, Machine(root=work), driver=self.driver, pause=lambda s: self.clock.advance(s)
        )

    def plan(self, *versions: str, bounds: Bounds | None = None) -> Planned | Refused:
        return self.provider.plan(tuple(UpdateRef("KB", v) for v in versions), bounds or Bounds())

    def planned(self, *versions: str) -> Transaction:
        found = self.plan(*versions)
        assert isinstance(found, Planned), found
        return found.transaction

    def apply(self, transaction: Transaction, bounds: Bounds | None = None, **more: Any) -> TransactionResult:
        made = Order("tx_1", "of_1", "ro_1", 1, transaction, bounds or Bounds(), **more)
        return self.provider.apply(made, [].append)


def test_what_waits_and_what_is_in(tmp_path: Path) -> None:
    e = Endpoint(tmp_path, [search(
        update(A, "1", SupersededUpdateIDs=[B]), update(B, "2"), update(C, "3", IsInstalled=True),
    )])  # fmt: skip
    packages, waits = e.provider.survey()
    assert [(p.name, p.architecture, p.version, p.ecosystem) for p in packages] == [
        ("KB3", "wua", f"{C}.200", "windows")
    ]
    assert [(w.name, w.candidate, w.security, w.state) for w in waits] == [
        ("KB1", f"{A}.200", True, UpdateState.AVAILABLE)
    ]


def test_installation_that_goes_on_after_its_time_is_told_as_that(tmp_path: Path) -> None:
    """Our script is ended; what Windows' own service has begun is not."""
    waits = search(update(A, "1"))
    e = Endpoint(tmp_path, [waits, waits, search(update(A, "1"), busy=True)], install=[Said(b"", timed_out=True)])
    result = e.apply(e.planned(f"{A}.200"))
    assert (result.outcome, result.code) == (Outcome.FAILED, "timeout")
    assert "still installing" in result.detail


def test_two_updates_of_one_number_are_told_apart(tmp_path: Path) -> None:
    e = Endpoint(tmp_path, [search(update(A, "5"), update(B, "5"))])
    assert [w.name for w in e.provider.available()] == [f"KB5.{A[:8]}", f"KB5.{B[:8]}"]


def test_planned_installed_and_proven_by_a_new_search(tmp_path: Path) -> None:
    before, after = search(update(A, "1")), search(update(A, "1", IsInstalled=True))
    e = Endpoint(tmp_path, [before, before, after], install=[done((f"{A}.200", 2, 0), restart=False)])
    result = e.apply(e.planned(f"{A}.200"))
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result
    assert [(c.name, c.before, c.after) for c in result.changes] == [("KB1", "", f"{A}.200")]
    assert result.way_back is not None
    assert result.way_back.stored
    assert e.driver.asked[2] == ("install", {"online": True, "updates": [{"id": A, "revision": 200}]})
    stored = e.provider.stored("ro_1")
    assert stored is not None
    assert e.provider.verify(inverse_of(stored.transaction)) == ()
    assert e.provider.verify(stored.transaction) == ("KB1 should be gone, but is there",)


def test_what_a_restart_completes_is_done_and_says_so(tmp_path: Path) -> None:
    before, after = search(update(A, "1")), search(update(A, "1", RebootRequired=True), restart=True)
    e = Endpoint(tmp_path, [before, before, after], install=[done((f"{A}.200", 2, 0), restart=True)])
    result = e.apply(e.planned(f"{A}.200"))
    assert (result.outcome, "A restart completes it." in result.detail) == (Outcome.INSTALLED, True)


def test_a_failure_is_decoded_and_success_without_effect_is_none(tmp_path: Path) -> None:
    before = search(update(A, "1"))
    e = Endpoint(tmp_path, [before], install=[done((f"{A}.200", 4, -2146498512))])
    result = e.apply(e.planned(f"{A}.200"))
    assert (result.outcome, result.changes) == (Outcome.FAILED, ())
    assert "0x800F0830" in result.detail
    e = Endpoint(tmp_path, [before], install=[done((f"{A}.200", 2, 0))])
    result = e.apply(e.planned(f"{A}.200"))
    assert (result.outcome, result.code) == (Outcome.FAILED, "verify_failed")


def test_another_revision_is_a_changed_situation(tmp_path: Path) -> None:
    e = Endpoint(tmp_path, [search(update(A, "1")), search(update(A, "1", 201))])
    result = e.apply(e.planned(f"{A}.200"))
    assert (result.outcome, result.code) == (Outcome.REFUSED, "changed")
    assert [verb for verb, _ in e.driver.asked] == ["search", "search"]
    gone = done(missing=[f"{A}.200"])
    e = Endpoint(tmp_path, [search(update(A, "1"))], install=[gone])
    result = e.apply(e.planned(f"{A}.200"))
    assert (result.outcome, result.code) == (Outcome.REFUSED, "changed")


def test_what_cannot_be_downloaded_is_not_begun(tmp_path: Path) -> None:
    bad = [{"id": A, "revision": 200, "code": 4, "hresult": NO_SERVER}]
    e = Endpoint(tmp_path, [search(update(A, "1"))], install=[done(downloads=bad)])
    result = e.apply(e.planned(f"{A}.200"))
    assert (result.outcome, result.code) == (Outcome.REFUSED, "network")
    error = {"hresult": NO_SERVER, "message": "Ausnahme von HRESULT"}
    e = Endpoint(tmp_path, [search(update(A, "1"))], install=[done(error=error, begun=False)])
    assert e.apply(e.planned(f"{A}.200")).outcome is Outcome.REFUSED
    e = Endpoint(tmp_path, [search(update(A, "1"))], install=[done(error=error, begun=True)])
    assert e.apply(e.planned(f"{A}.200")).outcome is Outcome.FAILED


def test_no_server_is_never_nothing_newer(tmp_path: Path) -> None:
    error = search(error={"hresult": NO_SERVER, "message": "x"})
    e = Endpoint(tmp_path, [search(update(A, "1")), error])
    assert isinstance(e.provider.refresh(), Refreshed)
    refreshed = e.provider.health().lists_refreshed_ms
    e.clock.advance(60)
    answer = e.provider.refresh()
    assert isinstance(answer, Refused)
    assert answer.code == "no_network"
    assert (e.provider.health().lists_refreshed_ms, e.provider.health().lists_problem) == (refreshed, answer.reason)
    with pytest.raises(NoAnswer):
        e.provider.survey()


@pytest.mark.parametrize(
    "said",
    [
        Said(b"", b"\xff\xfeK\0e\0i\0n\0 \0Z\0u\0g\0r\0i\0f\0f\0"),
        Said(b"\x84\x81 no json in any code page"),
        Said(b"[" * 100_000),
        Said(b"{}"),
        Said(b"A company's wrapper: access is logged\r\n{}"),
        Said(b"x" * (wua_answers.ANSWER_BYTES_MAX + 1)),
        Said(json.dumps({"format": 1, "verb": "search", "updates": [{"Identity": 3}]}).encode()),
        Said(json.dumps({"format": 1, "verb": "search", "error": "no"}).encode()),
        Said(json.dumps({"format": 1, "verb": "install", "results": []}).encode()),
        Said(b"", timed_out=True),
    ],
)
def test_what_is_no_answer_is_told_and_counts_as_none(said: Said, tmp_path: Path) -> None:
    e = Endpoint(tmp_path, [said])
    found = e.plan(f"{A}.200")
    assert isinstance(found, Refused)
    assert found.code in ("no_answer", "timeout")
    assert (found.reason.endswith("."), len(found.reason) < 400, found.reason.isprintable()) == (True, True, True)
    with pytest.raises(NoAnswer):
        e.provider.inventory()


def test_an_answer_that_is_lost_after_the_installation_is_a_failure(tmp_path: Path) -> None:
    e = Endpoint(tmp_path, [search(update(A, "1")), search(update(A, "1")), Said(b"")], install=[Said(b"")])
    result = e.apply(e.planned(f"{A}.200"))
    assert (result.outcome, result.code, "not known" in result.detail) == (Outcome.FAILED, "verify_failed", True)


@pytest.mark.parametrize(
    ("policy", "part"),
    [({"PauseUpdatesExpiryTime": "2023-12-01T10:00:00Z"}, "paused"), ({"DisableWindowsUpdateAccess": 1}, "policy")],
)
def test_what_the_owner_holds_stays(policy: dict[str, Any], part: str, tmp_path: Path) -> None:
    e = Endpoint(tmp_path, [search(update(A, "1"), policy=policy)])
    (waits,) = e.provider.available()
    assert (waits.state, part in waits.reason) == (UpdateState.HELD, True)
    found = e.plan(f"{A}.200")
    assert isinstance(found, Refused)
    assert found.code == "held"


def test_policies_that_hold_nothing_are_noted_with_what_waits(tmp_path: Path) -> None:
    policy = {"UseWUServer": 1, "WUServer": "http://wsus"}
    (waits,) = Endpoint(tmp_path, [search(update(A, "1"), policy=policy)]).provider.available()
    assert (waits.state, waits.suite) == (
        UpdateState.AVAILABLE, "Windows Update: updates are those that http://wsus approves",
    )  # fmt: skip
    told = wua_answers.notes(
        {"UseWUServer": 1, "WUServer": "http://wsus", "NoAutoUpdate": 1, "DeferQualityUpdatesPeriodInDays": 7}
    )
    assert [any(word in line for line in told) for word in ("http://wsus", "NoAutoUpdate", "7 days")] == [True] * 3
    assert wua_answers.holds({"PauseUpdatesExpiryTime": "2023-11-01T10:00:00Z"}, "2023-11-14") == ()


@pytest.mark.parametrize(
    ("more", "code", "part"),
    [({"IsHidden": True}, "held", "Hidden"), ({"EulaAccepted": False}, "refused", "licence"),
     ({"InstallationBehavior": {"CanRequestUserInput": True}}, "refused", "questions")],
)  # fmt: skip
def test_what_needs_a_person_is_refused(more: dict[str, Any], code: str, part: str, tmp_path: Path) -> None:
    found = Endpoint(tmp_path, [search(update(A, "1", **more))]).plan(f"{A}.200")
    assert isinstance(found, Refused)
    assert (found.code, part in found.reason) == (code, True)


def test_a_driver_that_is_named_comes_and_what_is_overtaken_does_not(tmp_path: Path) -> None:
    e = Endpoint(tmp_path, [search(update(A, "1", Type=2), update(B, "2", SupersededUpdateIDs=[C]), update(C, "3"))])
    found = e.plan(f"{A}.200", f"{C}.200")
    assert isinstance(found, Planned)
    assert ([a.name for a in found.transaction.actions], found.skipped) == (["KB1"], ("KB3: KB2 has taken its place.",))


def test_what_must_be_installed_alone(tmp_path: Path) -> None:
    e = Endpoint(tmp_path, [search(update(A, "1", InstallationBehavior={"Impact": 2}), update(B, "2"))])
    found = e.plan(f"{A}.200", f"{B}.200")
    assert isinstance(found, Refused)
    assert "alone" in found.reason
    assert isinstance(e.plan(f"{A}.200"), Planned)


def test_quarantined_versions_are_in_no_plan(tmp_path: Path) -> None:
    e = Endpoint(tmp_path, [search(update(A, "1"))])
    found = e.plan(f"{A}.200", bounds=Bounds(without=(UpdateRef("KB1", f"{A}.200"),)))
    assert isinstance(found, Refused)
    assert found.code == "quarantined"


def test_whoever_installs_is_waited_for(tmp_path: Path) -> None:
    busy, free = search(update(A, "1"), busy=True), search(update(A, "1"))
    after = search(update(A, "1", IsInstalled=True))
    e = Endpoint(tmp_path, [free, busy, busy, free, after], install=[done((f"{A}.200", 2, 0))])
    assert e.apply(e.planned(f"{A}.200")).outcome is Outcome.INSTALLED
    e = Endpoint(tmp_path, [free, busy], install=[])
    result = e.apply(e.planned(f"{A}.200"), Bounds(lock_wait_s=30))
    assert (result.outcome, result.code) == (Outcome.REFUSED, "lock_timeout")


def test_the_way_back_is_taken_or_stated_to_be_none(tmp_path: Path) -> None:
    fixed = update(A, "1", IsUninstallable=False)
    e = Endpoint(tmp_path, [search(fixed), search(fixed), search({**fixed, "IsInstalled": True})],
                 install=[done((f"{A}.200", 2, 0))])  # fmt: skip
    found = e.plan(f"{A}.200")
    assert isinstance(found, Planned)
    assert found.no_way_back == ("KB1",)
    kept = e.apply(found.transaction).way_back
    assert kept is not None
    assert "does not take KB1 away again" in kept.reason
    assert isinstance(e.provider.undo("ro_1", look=True), Refused)

    before, after = search(update(B, "2")), search(update(B, "2", IsInstalled=True))
    e = Endpoint(tmp_path, [before, before, after, after, after, before], install=[done((f"{B}.200", 2, 0))],
                 uninstall=[done((f"{B}.200", 2, 0), verb="uninstall")])  # fmt: skip
    e.apply(e.planned(f"{B}.200"))
    left = e.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse)
    made = Order("tx_2", "of_2", "ro_1", 2, left.transaction, Bounds(allow_removals=True), inverse=left)
    result = e.provider.apply(made, [].append)
    assert (result.outcome, [(c.before, c.after) for c in result.changes]) == (
        Outcome.INSTALLED, [(f"{B}.200", "")],
    )  # fmt: skip
    forged = Order("tx_3", "of_3", "ro_1", 3, left.transaction, Bounds(allow_removals=True))
    assert e.provider.apply(forged, [].append).outcome is Outcome.REFUSED


def test_forged_orders(tmp_path: Path) -> None:
    e = Endpoint(tmp_path, [search(update(A, "1"))])
    made = e.planned(f"{A}.200")
    assert e.apply(replace(made, digest="0" * 64)).outcome is Outcome.REFUSED
    assert all(verb == "search" for verb, _ in e.driver.asked)


def test_a_lost_run(tmp_path: Path) -> None:
    before, after = search(update(A, "1")), search(update(A, "1", IsInstalled=True))
    e = Endpoint(tmp_path, [before, before, after], install=[done((f"{A}.200", 2, 0))])
    made = e.planned(f"{A}.200")
    order = Order("tx_1", "of_1", "ro_1", 1, made)
    assert e.provider.recover(order, [].append).code == "interrupted_unchanged"
    e.provider.apply(order, [].append)
    assert e.provider.recover(order, [].append).code == "interrupted_complete"
    e.driver.answers = {"search": [Said(b"")]}
    assert e.provider.recover(order, [].append).code == "interrupted_broken"


def test_the_script_answers_with_what_is_read() -> None:
    read_of_an_update = (
        "Identity", "UpdateID", "RevisionNumber", "Title", "KBArticleIDs", "SupersededUpdateIDs", "CategoryID",
        "IsHidden", "EulaAccepted", "CanRequestUserInput", "Impact", "IsInstalled", "RebootBehavior",
        "Type", "MaxDownloadSize", "IsUninstallable", "RebootRequired",
    )  # fmt: skip
    assert [name for name in read_of_an_update if f"{name} = " not in SCRIPT] == []
    policies = ("DisableWindowsUpdateAccess", "SetDisableUXWUAccess", "PauseUpdatesExpiryTime", "WUServer",
                "UseWUServer", "PauseQualityUpdatesEndTime", "NoAutoUpdate",
                "DeferQualityUpdatesPeriodInDays")  # fmt: skip
    assert [name for name in policies if f"{name} = " not in SCRIPT] == []
    answered = ("result_code", "updates", "policy", "restart", "busy", "missing", "results", "downloads", "begun")
    assert [name for name in answered if f"$out.{name} = " not in SCRIPT] == []


def test_the_script_is_started_with_files_and_without_a_console(tmp_path: Path) -> None:
    box = FakeBox()
    said = PowerShell(box, tmp_path / "wua", "C:\\Windows").ask("search", {"online": False}, 60)
    assert said.data == b""
    (line,) = box.lines
    assert line.startswith('"C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe" -NoLogo -NoProfile')
    assert line.endswith(f'search "{tmp_path}/wua/request.json" "{tmp_path}/wua/answer.json"')
    assert (tmp_path / "wua/wua.ps1").read_bytes().startswith(b"\xef\xbb\xbf\nparam(")
