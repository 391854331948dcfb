"""Root's own limits of this endpoint: `limits.json` beside the agent's configuration. No order is wider than they are.

Written by root and by nobody else, read by the agent, which tells them to the cell, and by the root helper, which
keeps to them whatever the agent says. No file: no limits beyond those built in. A file that makes no sense is the
narrowest of all: the endpoint is only assessed and says why, because whoever wrote it meant to forbid something. A
file of its own, for the reason of `reboots.RESTART_FILE`: an older release must not stumble over a key that it lacks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from brakeline.agent.taking import KIB_S_MIN
from brakeline.core import weekly
from brakeline.core.errors import Fault, Invalid
from brakeline.protocol.codec import from_plain, to_plain
from brakeline.protocol.messages import RESTARTS_A_DAY_MAX, LocalLimits, Mode, RestartConsent, Settings
from brakeline.protocol.probes import allowance
from brakeline.protocol.settings import NICE_MAX, UNSAID

LIMITS_FILE: Final = "limits.json"
KEYS: Final = ("mode", "windows", "restart", "conffiles", "restarts_a_day", "download_kib_s", "nice", "probes")
WINDOWS_MAX: Final = 14  # two a day
ALLOWANCES_MAX: Final = 50
BYTES_MAX: Final = 16 * 1024
RANGES: Final = {
    "restarts_a_day": (0, RESTARTS_A_DAY_MAX), "download_kib_s": (KIB_S_MIN, 10_000_000), "nice": (0, NICE_MAX),
}  # fmt: skip
NOTHING: Final = Settings(Mode.ASSESS, 1, 1, 1, (weekly.NEVER,), RestartConsent.NEVER)


def load(config_path: Path) -> LocalLimits:
    """What `limits.json` beside this configuration says."""
    path = config_path.with_name(LIMITS_FILE)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return LocalLimits()
    except OSError as e:
        return _unreadable(path, e.strerror or "cannot be read")
    try:
        return LocalLimits(read(raw))
    except Fault as e:
        return _unreadable(path, e.detail)


def read(raw: bytes) -> Settings:
    """The limits in a file's bytes. `Invalid` or `Malformed` says what is wrong, and what was meant perhaps."""
    try:
        plain: Any = json.loads(raw) if len(raw) <= BYTES_MAX else None
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise Invalid("it is no JSON object")
    for key in plain:
        if key not in KEYS:
            import difflib  # late: the resident agent needs it for a mistyped key only

            near = difflib.get_close_matches(key, KEYS, n=1)
            raise Invalid(f"unknown key {key[:40]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    for key, (least, most) in RANGES.items():
        if key in plain and not (type(plain[key]) is int and least <= plain[key] <= most):
            raise Invalid(f"{key} is {least} to {most}, not {str(plain[key])[:40]!r}")
    found: Settings = from_plain(Settings, to_plain(UNSAID) | plain, LIMITS_FILE)
    if "windows" in plain and not 0 < len(found.windows) <= WINDOWS_MAX:
        raise Invalid(f"windows are 1 to {WINDOWS_MAX}; without the key an endpoint may be changed at any time")
    return Settings(
        found.mode, found.check_in_interval_s, found.inventory_interval_s, found.refresh_interval_s,
        weekly.canonical(found.windows), found.restart, found.conffiles, found.restarts_a_day, found.download_kib_s,
        found.nice, _probes(found.probes),
    )  # fmt: skip


def _probes(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(texts) > ALLOWANCES_MAX:
        raise Invalid(f"at most {ALLOWANCES_MAX} probes may be allowed")
    return tuple(sorted({allowance(text) for text in texts}))


def _unreadable(path: Path, why: str) -> LocalLimits:
    return LocalLimits(NOTHING, problem=f"{path.name}, in which root limits this endpoint, cannot be used: {why}")
