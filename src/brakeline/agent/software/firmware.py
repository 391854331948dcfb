"""Firmware of devices is told by the provider of fwupd, where fwupd can be asked; where it cannot, that is a gap."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from brakeline.agent.software.model import Told

PROGRAM: Final = "/usr/bin/fwupdmgr"
BUS: Final = "/run/dbus/system_bus_socket"


def ask(program: str = PROGRAM, bus: str = BUS) -> Told:
    """What nobody looks at here."""
    if Path(program).exists() and not Path(bus).exists():
        return Told(gaps=("firmware: fwupd is installed, and no system bus runs to ask it over",))
    return Told()
