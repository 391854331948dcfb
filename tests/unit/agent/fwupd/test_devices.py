"""What fwupdmgr says, read: recordings of fwupd 2.0.20 with its test device, and forms of other devices."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from brakeline.agent import orders
from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.fwupd.daemon import package
from brakeline.agent.providers.fwupd.devices import Device, devices, label_of, plain, remotes
from brakeline.agent.providers.fwupd.fetch import fits
from brakeline.agent.providers.fwupd.keep import no_way_back
from brakeline.agent.providers.fwupd.lists import seen
from brakeline.agent.providers.fwupd.provider import standing
from brakeline.agent.providers.fwupd.words import answer, nothing_begun, why
from brakeline.protocol.messages import Action, ActionKind, UpdateState

RECORDED = Path(__file__).parents[3] / "fixtures/fwupd"


def said(name: str) -> Any:
    return answer((RECORDED / f"{name}.json").read_text())


def webcam(name: str, history: str = "history-none") -> Device:
    return next(d for d in devices(said(name), said(history)) if d.name == "Integrated-Webcam")


def row(**more: object) -> dict[str, object]:
    return {"DeviceId": "a" * 40, "Name": "System Firmware", "Version": "1.40", "Guid": ["g1"]} | more


def one(**more: object) -> Device:
    return devices({"Devices": [row(**more)]}, {})[0]


def test_device_and_its_releases() -> None:
    device = webcam("devices")
    assert (device.version, device.lowest, device.staged, device.refuses) == ("1.2.2", "1.2.0", "", "")
    assert [(r.version, r.security) for r in device.releases] == [("1.2.4", False), ("1.2.3", True), ("1.2.2", False)]
    assert device.releases[0].remote == "example"
    assert len(device.releases[0].checksums[-1]) == 64
    assert standing(device, device.releases[0], held=False) == (UpdateState.AVAILABLE, "")


def test_what_is_written_and_waits_is_not_what_runs() -> None:
    device = webcam("devices-staged", "history-staged")
    assert (device.version, device.staged, device.settled, device.waits_for) == ("1.2.2", "1.2.3", "1.2.3", "restart")
    assert standing(device, None, held=False)[0] is UpdateState.KEPT_BACK
    forgotten = webcam("devices-staged")  # nobody remembers what was written: nothing is claimed
    assert (forgotten.staged, forgotten.settled) == ("", "1.2.2")


def test_conditions_and_approval_are_told() -> None:
    inhibited = webcam("devices-inhibited")
    assert "somebody has inhibited" in inhibited.refuses
    assert standing(inhibited, inhibited.releases[0], held=False)[0] is UpdateState.HELD
    unapproved = webcam("devices-unapproved")
    state, reason = standing(unapproved, unapproved.releases[0], held=False)
    assert (state, "approved firmware" in reason) == (UpdateState.HELD, True)


def test_failure_of_the_past_is_a_problem_and_no_reason_to_refuse_the_next() -> None:
    failed = webcam("devices-failed")
    assert (failed.update_state, failed.refuses) == (3, "")
    assert "not in supported mode" in failed.update_error


@pytest.mark.parametrize(
    ("problems", "words"),
    [(["require-ac-power"], "mains power"), (["power-too-low"], "own battery"), (["lid-is-closed"], "lid"),
     (["a-new-problem"], "a-new-problem"), (["unreachable", "in-use"], "; the device is in use")],
)  # fmt: skip
def test_each_problem_of_a_device_has_its_sentence(problems: list[str], words: str) -> None:
    device = one(Flags=["updatable-hidden"], Problems=problems)
    assert words in device.refuses
    assert standing(device, None, held=False)[0] is UpdateState.KEPT_BACK


def test_device_that_takes_none_without_a_reason_is_told_too() -> None:
    assert one(Flags=["internal"]).refuses == "fwupd says that it takes none"
    assert one(Flags=["updatable-hidden"], UpdateError="Firmware is locked.").refuses == "Firmware is locked"


def test_label_is_one_stream_of_releases() -> None:
    """The revision, which may follow the version, is left out; what the device is stays."""
    before = label_of(["3b2ee5a1-9fd3-56bc-a9d2-9e8b9e5a1c12", "aaaa"], [])
    assert before == label_of(["aaaa", "3b2ee5a1-9fd3-56bc-a9d2-9e8b9e5a1c12"], [])

    def with_revision(revision: str) -> str:
        moving = rf"USB\VID_17EF&PID_6047&REV_{revision}"
        return label_of([str(uuid.uuid5(uuid.NAMESPACE_DNS, moving)), "aaaa"], [moving, r"USB\VID_17EF&PID_6047"])

    assert with_revision("0305") == with_revision("0309") != before


def test_equal_devices_are_told_apart_and_every_name_may_reach_a_command() -> None:
    rows = [row(DeviceId=c * 40, Name="Dock (rear) ™", Version="N2IET98W (1.76 )") for c in "ba"]
    found = devices({"Devices": rows}, {})
    assert [d.id[0] for d in found] == ["a", "b"]
    assert found[1].label == f"{found[0].label}~2"
    assert (found[0].name, found[0].version) == ("Dock-rear", "N2IET98W-1.76")
    for d in found:
        made = make_transaction([Action(ActionKind.UPGRADE, d.name, d.label, d.version, "1.77")])
        assert orders.unsafe(made, "apt") is None
    assert plain("../../etc/passwd") == "etc-passwd"
    bad = make_transaction([Action(ActionKind.UPGRADE, "x", "fwupd-zz", "1", "2")])
    assert orders.unsafe(bad, "apt") is not None


@pytest.mark.parametrize("text", ["", "{", "[]", "Idle…\n", '{"Devices": 1}', '{"Devices": [1, null, {"Version": 3}]}'])
def test_what_is_no_list_has_no_devices(text: str) -> None:
    assert devices(answer(text), {}) == ()


def test_warning_before_the_answer_is_passed_over() -> None:
    assert answer('\x1b[31mWARNING\x1b[0m: old\n{"Devices": []}\ntail') == {"Devices": []}


@pytest.mark.parametrize(
    ("name", "code"),
    [("error-network", "network"), ("error-formats", "refused"), ("error-same", "fwupd_failed"),
     ("error-write", "refused")],
)  # fmt: skip
def test_errors_as_they_were_recorded(name: str, code: str) -> None:
    text = (RECORDED / f"{name}.json").read_text()
    assert why(text).code == code
    assert why(text).reason.endswith(".")
    assert nothing_begun(text)  # by its number alone even a failed write looks so: the device's own state decides


def test_error_that_is_none_is_told_as_it_is() -> None:
    assert why("Segmentation fault\n").reason == "fwupd failed: Segmentation fault."
    assert not nothing_begun("Segmentation fault\n")
    battery = json.dumps({"Error": {"Code": 15, "Message": "Cannot install when battery is too low"}})
    assert (why(battery).code, "battery" in why(battery).reason) == ("unhealthy", True)


def test_remotes() -> None:
    found = remotes(said("remotes"))
    assert [(r.id, r.kind, r.enabled) for r in found] == [("example", "download", True)]
    assert found[0].base.startswith("http://")


def test_way_back_is_the_device_s_to_allow() -> None:
    device = webcam("devices")
    assert no_way_back(device, "1.2.2") == ""
    assert "No remote has" in no_way_back(device, "1.2.1")
    assert "takes no older" in no_way_back(one(Flags=["updatable", "only-version-upgrade"]), "1.40")
    older = [{"Version": "1.39", "Checksum": ["a" * 64], "Flags": ["blocked-version"]}]
    assert "does not allow" in no_way_back(one(Flags=["updatable"], Releases=older), "1.39")


def test_device_left_in_its_bootloader_is_half_there_and_a_hold_is_by_name_label_or_id() -> None:
    assert package(one(Flags=["is-bootloader"]), frozenset()).state == "iHR"
    device = one(Flags=["updatable"])
    for word in (device.name, device.id, device.key):
        assert package(device, frozenset({word})).held
    assert not package(device, frozenset({"Other"})).held


def test_first_checksums_of_a_version_stay_while_the_device_is_here() -> None:
    device = webcam("devices")
    first = seen({}, [device])
    key = f"{device.label} 1.2.4"
    assert seen({key: ["f" * 64], "fwupd-gone 1": ["e" * 64]}, [device])[key] == ["f" * 64]
    assert "fwupd-gone 1" not in seen({"fwupd-gone 1": []}, [device])
    assert len(first) == 3


def test_checksum_decides_and_a_strange_one_fits_nothing(tmp_path: Path) -> None:
    file = tmp_path / "x.cab"
    file.write_bytes(b"cab")
    good = "9a6747fc6259aa374ab4e1bb03074b6ec672cf99f4a6b9cd9ff6b6d3c4a4b14a"
    assert fits(file, hashlib.sha256(b"cab").hexdigest())
    assert fits(file, hashlib.sha1(b"cab").hexdigest())
    assert not any(fits(file, c) for c in (good, "", "abc"))
    assert not fits(tmp_path / "none", hashlib.sha256(b"cab").hexdigest())
