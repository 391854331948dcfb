"""Keeps dnf from bringing back by itself what was taken back: an endpoint's own nightly upgrades know no quarantine.

Lines of versionlock's list, each below a line that says whose it is; every other line is its owner's and stays. Our own
child keeps that list whether dnf has the plugin or not; the endpoint's own dnf keeps it with the plugin alone, so where
that is missing we say so. An order that names such a version lifts its line, a newer version makes it moot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt.runner import Runner
from brakeline.protocol.messages import UpdateRef

FILE: Final = "/etc/dnf/plugins/versionlock.list"
MARK: Final = (
    "# Brakeline took this version back; its cell's order, or a newer version, brings it again:"  # see `child`
)
PLUGIN: Final = ("usr/lib/python3*/site-packages/dnf-plugins/versionlock.py",
                 "usr/lib/python3*/dist-packages/dnf-plugins/versionlock.py")  # fmt: skip
LINES_MAX: Final = 200  # the newest stay
_LINE: Final = re.compile(r"!([A-Za-z0-9_][A-Za-z0-9_+.\-]*)-([0-9]+):([A-Za-z0-9_+.~^]+-[A-Za-z0-9_+.~^]+)\.\*")


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The list of one endpoint. `root`: what its dnf manages."""

    runner: Runner
    root: str = "/"

    def forbid(self, versions: Iterable[UpdateRef]) -> str:
        """Add these, durably; a sentence where the endpoint's own dnf will not keep it. OSError: the disk will not."""
        known, others = self._read()
        self._write([*known, *(v for v in dict.fromkeys(versions) if v not in known)], others)
        top = self.runner.path(self.root)
        if any(any(top.glob(pattern)) for pattern in PLUGIN):
            return ""
        return "dnf has no versionlock plugin here, so a person's or a nightly dnf may bring what was taken back."

    def allow(self, versions: Iterable[UpdateRef]) -> None:
        """Lift these, if they are forbidden."""
        (known, others), gone = self._read(), frozenset(versions)
        if gone & frozenset(known):
            self._write([v for v in known if v not in gone], others)

    def known(self) -> tuple[UpdateRef, ...]:
        """What is forbidden, oldest first."""
        return tuple(self._read()[0])

    def _read(self) -> tuple[list[UpdateRef], list[str]]:
        """Ours, and the lines of others."""
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except OSError:
            return [], []
        ours, others, marked = list[UpdateRef](), list[str](), False
        for line in lines:
            if line == MARK:
                marked = True
                continue
            found = _LINE.fullmatch(line) if marked else None
            if found:
                epoch = "" if found[2] == "0" else f"{found[2]}:"
                ours.append(UpdateRef(found[1], f"{epoch}{found[3]}"))
            else:
                others.append(line)
            marked = False
        return ours, others

    def _write(self, ours: list[UpdateRef], others: list[str]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lines = [*others, *(line for v in ours[-LINES_MAX:] for line in (MARK, line_of(v)))]
        write_durably(self._path, "".join(f"{line}\n" for line in lines).encode(), 0o644)

    @property
    def _path(self) -> Path:
        return self.runner.path(f"{self.root.rstrip('/')}{FILE}")


def line_of(v: UpdateRef) -> str:
    """As versionlock writes an exclusion."""
    epoch, colon, rest = v.version.rpartition(":")
    return f"!{v.name.partition(':')[0]}-{epoch if colon else '0'}:{rest}.*"
