"""Firmware is fwupd's provider's to tell; an fwupd that cannot be asked is a gap."""

from __future__ import annotations

from pathlib import Path

from brakeline.agent.software import firmware
from brakeline.agent.software.model import Told


def test_fwupd_without_a_bus_is_a_gap_and_its_provider_tells_the_rest(tmp_path: Path) -> None:
    program, bus = tmp_path / "fwupdmgr", tmp_path / "bus"
    assert firmware.ask(str(program), str(bus)) == Told()
    program.touch()
    assert "no system bus" in firmware.ask(str(program), str(bus)).gaps[0]
    bus.touch()
    assert firmware.ask(str(program), str(bus)) == Told()
