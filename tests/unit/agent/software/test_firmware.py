"""Firmware as fwupd tells it: the documented form of its JSON; a machine without it, or without a bus, says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brakeline.agent.software import firmware
from brakeline.agent.software.model import Told, Unreadable

DEVICES = {"Devices": [
    {"Name": "System Firmware", "DeviceId": "a45df35ac0e948ee180fe216a5f703f32dda163f", "Vendor": "LENOVO",
     "Guid": ["37c94477-30f8-42df-96f9-5e417cc49274"], "Plugin": "uefi_capsule", "Version": "2.91"},
    {"Name": "TPM", "DeviceId": "c6a80ac3a22083423992a3cb15018989f37834d6"},  # tells no version
    {"Name": "bad\x1b[2J", "Version": "1"}, "no device",
]}  # fmt: skip


def test_devices_that_tell_a_version_are_told_with_their_place() -> None:
    items = firmware.read(json.dumps(DEVICES).encode())
    assert [(i.ecosystem, i.name, i.version, i.where) for i in items] == [
        ("fwupd", "System-Firmware", "2.91", "device a45df35ac0e948ee180fe216a5f703f32dda163f of LENOVO")
    ]


@pytest.mark.parametrize("data", [b"", b"[]", b'{"Devices": 1}', b"[" * 100_000])
def test_what_is_no_list_of_devices_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        firmware.read(data)


def test_without_fwupd_nothing_is_said_and_without_a_bus_or_an_answer_why(tmp_path: Path) -> None:
    program, bus = tmp_path / "fwupdmgr", tmp_path / "bus"
    assert firmware.ask(str(program), str(bus)) == Told()
    program.write_text('#!/bin/sh\n[ "$1 $2" = "get-devices --json" ] && echo \'{"Devices": []}\'\n')
    program.chmod(0o755)
    assert "no system bus" in firmware.ask(str(program), str(bus)).gaps[0]
    bus.touch()
    assert firmware.ask(str(program), str(bus)) == Told()
    program.write_text("#!/bin/sh\nexit 1\n")
    assert "no answer that can be read" in firmware.ask(str(program), str(bus)).gaps[0]
