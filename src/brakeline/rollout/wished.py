"""Settings as a conductor leads them: the words of one policy, which every cell puts among its own. Pure.

Only these words cross a border, and they are the change itself: what an endpoint gets of them is said by its own cell,
from its own policies and these together, the most careful first, and signed by that cell. A policy that was led is
known by its name: led again it is replaced, led without a word it is taken away. Next: `linked` (the cell's end),
`remediation.led` (what comes of it for each endpoint).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from brakeline.core.errors import Conflict
from brakeline.protocol.codec import encode_sparse
from brakeline.protocol.messages import Conffiles, Mode, RestartConsent, Settings
from brakeline.protocol.settings import NAMES, shown

WHOM: Final = frozenset({"name", "filter"})  # fields that say of which policy and for whom, not what
PACKAGE: Final = "brakeline-settings"  # how settings are named in a pin


@dataclass(frozen=True, slots=True)
class Wished:
    """One policy; None = leaves it to others. Without a word it takes away what was led under its name."""

    name: str
    filter: str = ""
    mode: Mode | None = None
    refresh_interval_s: int | None = None
    inventory_interval_s: int | None = None
    windows: tuple[str, ...] | None = None
    restart: RestartConsent | None = None
    conffiles: Conffiles | None = None
    restarts_a_day: int | None = None
    download_kib_s: int | None = None
    nice: int | None = None
    probes: tuple[str, ...] | None = None

    @property
    def takes_away(self) -> bool:
        return all(getattr(self, f.name) is None for f in fields(self) if f.name not in WHOM)


@dataclass(frozen=True, slots=True)
class Offered:
    """What a rollout that stands has offered to an endpoint. `led`: by the words of a conductor."""

    settings: Settings
    led: Wished | None = None
    rollout_id: str = ""


@dataclass(frozen=True, slots=True)
class Proven:
    """What a completed rollout has shown to be good, for each target on which it did not fail."""

    settings: Mapping[str, Settings]
    led: Wished | None = None


class SettingsUnderWay(Conflict):
    """Another rollout of settings is under way."""


class SettingsHalted(Conflict):
    """These settings were halted."""


def digest(wished: Wished) -> str:
    """12 hex that name it by all that is in it: what was halted stays halted under another title."""
    return hashlib.sha256(b"led settings\n" + encode_sparse(wished)).hexdigest()[:12]


def told(wished: Wished) -> tuple[str, ...]:
    """In words, for people."""
    if wished.takes_away:
        return (f"policy {wished.name} is taken away",)
    said = ((name, getattr(wished, name)) for name in NAMES)
    return tuple(f"{NAMES[name]}: {shown(name, value)}" for name, value in said if value is not None)
