"""Firmware of this machine's devices, as fwupd tells it. `read` is pure over its JSON; `ask` runs fwupdmgr once.

What runs in a device is no package of anybody's: it is told with the device's place, and judged by nothing yet.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from brakeline.agent.providers.apt.runner import AnswerLost, Attentive, Machine
from brakeline.agent.software.model import Found, Told, Unreadable, found, shown

PROGRAM: Final = "/usr/bin/fwupdmgr"
BUS: Final = "/run/dbus/system_bus_socket"
ASK_S_MAX: Final = 30.0  # the daemon is started for the question and looks at every bus
ANSWER_CHARS_MAX: Final = 4 * 1024 * 1024
DEVICES_MAX: Final = 500


def read(data: bytes) -> tuple[Found, ...]:
    """The devices that tell a version. Raises `Unreadable`."""
    try:
        rows = json.loads(data)["Devices"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unreadable("it is no list of devices") from None
    if not isinstance(rows, list) or len(rows) > DEVICES_MAX:
        raise Unreadable("it is larger than any list of devices")
    items = []
    for row in rows:
        if not isinstance(row, dict) or not row.get("Version"):
            continue
        name = "-".join(str(row.get("Name", "")).split())
        place = f"device {row.get('DeviceId', '')} of {row.get('Vendor', 'an unknown maker')}"
        try:
            items.append(found("fwupd", name, str(row["Version"]), shown(place)))
        except Unreadable:
            continue
    return tuple(items)


def ask(program: str = PROGRAM, bus: str = BUS) -> Told:
    """What fwupd says; nothing where it is not installed."""
    if not Path(program).exists():
        return Told()
    if not Path(bus).exists():
        return Told(gaps=("firmware: fwupd is installed, and no system bus runs to ask it over",))
    try:
        text = Attentive(Machine()).query(program, "get-devices", "--json", timeout_s=ASK_S_MAX).text[:ANSWER_CHARS_MAX]
        return Told(read(text[max(0, text.find("{")) :].encode()))  # what it complains of comes before the answer
    except (AnswerLost, OSError, Unreadable) as e:
        return Told(gaps=(f"firmware: fwupd gave no answer that can be read ({str(e)[:80]})",))
