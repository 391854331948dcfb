"""Pure: what fwupd's words mean: its errors as codes and sentences, a device's problems, a release's reasons.

fwupd 2 tells errors as numbers and every state as a word; a word that nobody here knows is shown as it is and keeps
the device as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from brakeline.agent.providers.model import Refused

SAID_CHARS: Final = 200
PROBLEMS: Final = {
    "system-power-too-low": "the system's battery is too low",
    "power-too-low": "the device's own battery is too low",
    "require-ac-power": "it needs mains power, and the system runs on its battery",
    "lid-is-closed": "the lid is closed",
    "display-required": "it needs a display that is connected",
    "unreachable": "the device cannot be reached (switched off, or out of range)",
    "update-pending": "another update of it already waits for the restart",
    "update-in-progress": "an update of it is being written",
    "in-use": "the device is in use",
    "missing-license": "the vendor's licence for its updates is not there",
    "system-inhibit": "somebody has inhibited updates of firmware on this system",
    "lower-priority": "another way to this device has precedence",
    "is-emulated": "it is an emulated device",
    "insecure-platform": "the platform runs with a test key",
    "firmware-locked": "its firmware is locked",
}
HELD_BY_OWNER: Final = frozenset({"system-inhibit"})
BLOCKED: Final = {
    "blocked-approval": "is not on the list of approved firmware of this endpoint, which its remote asks for",
    "blocked-version": "is one that the device does not allow",
}
CODES: Final = {  # FwupdError, the numbers of libfwupd 2
    3: ("unhealthy", "An update already waits for the restart"),
    6: ("write_failed", "The device could not be written"),
    7: ("hash_mismatch", "The cabinet is no cabinet of firmware"),
    10: ("refused", "fwupd does not allow it"),
    11: ("signature", "The signature of the firmware or its list is not one that this endpoint trusts"),
    12: ("unhealthy", "It needs mains power"),
    13: ("refused", "fwupd does not allow it"),
    14: ("unhealthy", "fwupd says that the system is broken"),
    15: ("unhealthy", "The battery is too low"),
    16: ("unhealthy", "Somebody has to do something at the device first"),
    18: ("signature", "What came is not what it should be"),
    19: ("timeout", "The device gave no answer in time"),
    20: ("lock_timeout", "fwupd is busy with another update"),
    21: ("network", "The network or the remote cannot be reached"),
}
BEFORE_WRITING: Final = frozenset({1, 2, 3, 7, 8, 9, 10, 11, 12, 13, 15, 16, 20, 21})  # nothing was begun
NETWORK_MARKS: Final = ("resolv", "connect", "unreachable", "timed out", "HTTP", "Failed to download")


def answer(text: str) -> Mapping[str, Any]:
    """The object in what fwupdmgr printed, which may warn before it; {} = it printed none."""
    start = text.find("{")
    try:
        found, _ = json.JSONDecoder().raw_decode(text[start:]) if start >= 0 else ({}, 0)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def why(text: str) -> Refused:
    """The cause in fwupd's words; `fwupd_failed` if it says nothing that is known."""
    error = answer(text).get("Error")
    if not isinstance(error, dict):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return Refused("fwupd_failed", f"fwupd failed{': ' + lines[-1][:SAID_CHARS].rstrip('.') if lines else ''}.")
    said = str(error.get("Message", ""))[:SAID_CHARS].rstrip(".")
    code, sentence = CODES.get(error.get("Code", -1), ("fwupd_failed", "fwupd failed"))
    if code in ("fwupd_failed", "hash_mismatch") and any(mark in said for mark in NETWORK_MARKS):
        code, sentence = CODES[21]
    elif "signature" in said or "trusted" in said:
        code, sentence = CODES[11]
    return Refused(code, f"{sentence}: {said}." if said else f"{sentence}.")


def nothing_begun(text: str) -> bool:
    """Whether fwupd says that it refused before anything was written."""
    error = answer(text).get("Error")
    return isinstance(error, dict) and error.get("Code") in BEFORE_WRITING


def problems_told(problems: Iterable[str], error: str) -> str:
    """Why a device takes no update now, for the end of a sentence; "" = it does."""
    told = [PROBLEMS.get(p, p) for p in problems]
    if error and not told:
        told.append(error.rstrip("."))
    return "; ".join(told)


def blocked_told(flags: Iterable[str]) -> str:
    """Why a release is not offered to this device; "" = it is."""
    return next((BLOCKED[f] for f in BLOCKED if f in set(flags)), "")
