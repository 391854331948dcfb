"""Keeps apt from bringing back by itself what was taken back: an endpoint's own nightly upgrades know no quarantine.

One file of apt preferences, ours alone: `Pin-Priority: -1` for exactly these versions. Written before the way back
begins. An order of the cell that names such a version lifts its pin (the cell names none that is quarantined), a newer
version makes it moot; people may remove the file. Only ever forbids, and touches no trust.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.files import remove_durably, write_durably
from brakeline.agent.providers.apt.runner import Runner
from brakeline.protocol.messages import UpdateRef

FILE: Final = "/etc/apt/preferences.d/brakeline-taken-back"
PINS_MAX: Final = 200  # the newest stay
HEAD: Final = (
    "Explanation: Brakeline took these versions back. They are installed again when the cell orders them,\n"
    "Explanation: or when somebody removes this file. Newer versions are not concerned.\n"
)
_ENTRY: Final = re.compile(r"^Package: (\S+)\nPin: version (\S+)\nPin-Priority: -1$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pins:
    """The file on one endpoint."""

    runner: Runner

    def forbid(self, versions: Iterable[UpdateRef]) -> None:
        """Add these, durably. OSError when the disk will not."""
        known = self.known()
        self._write(known + tuple(v for v in dict.fromkeys(versions) if v not in known))

    def allow(self, versions: Iterable[UpdateRef]) -> None:
        """Lift these, if they are forbidden."""
        known, gone = self.known(), frozenset(versions)
        if gone & frozenset(known):
            self._write(tuple(v for v in known if v not in gone))

    def known(self) -> tuple[UpdateRef, ...]:
        """What is forbidden, oldest first."""
        try:
            text = self._path.read_text(encoding="utf-8")
        except OSError:
            return ()
        return tuple(UpdateRef(*found) for found in _ENTRY.findall(text))

    def _write(self, versions: tuple[UpdateRef, ...]) -> None:
        if not versions:
            remove_durably(self._path)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(self._path, text_of(versions[-PINS_MAX:]).encode(), 0o644)

    @property
    def _path(self) -> Path:
        return self.runner.path(FILE)


def text_of(versions: tuple[UpdateRef, ...]) -> str:
    """The file for these versions."""
    entries = (f"{HEAD}Package: {v.name}\nPin: version {v.version}\nPin-Priority: -1\n" for v in versions)
    return "\n".join(entries)
