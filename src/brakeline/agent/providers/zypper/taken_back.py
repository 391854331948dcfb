"""Keeps zypper from bringing back by itself what was taken back: an endpoint's own nightly upgrades know no quarantine.

Locks of exactly these versions, in libzypp's own file, after the locks of its owner, which stay. A newer version is not
locked. Which locks are ours is what a record beside the metadata says (zypper drops comments). An order that names such
a version lifts its lock; to plan one before that, zypper is run on the same configuration without these locks.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt.lists import write_public
from brakeline.agent.providers.zypper.tools import Tools
from brakeline.protocol.messages import UpdateRef

FILE: Final = "/etc/zypp/locks"
CONFIGURATION: Final = "/etc/zypp/zypp.conf"
RECORD: Final = "/var/cache/brakeline/zypper-taken-back.json"
LOCKS_MAX: Final = 200  # the newest stay


@dataclass(frozen=True, slots=True)
class TakenBack:
    """The locks of one endpoint."""

    tools: Tools

    def forbid(self, versions: Iterable[UpdateRef]) -> None:
        """Add these, durably. OSError when the disk will not."""
        known = self.known()
        self._write(known, (*known, *(v for v in dict.fromkeys(versions) if v not in known)))

    def allow(self, versions: Iterable[UpdateRef]) -> None:
        """Lift these, if they are forbidden."""
        known, gone = self.known(), frozenset(versions)
        if gone & frozenset(known):
            self._write(known, tuple(v for v in known if v not in gone))

    def known(self) -> tuple[UpdateRef, ...]:
        """What is forbidden by us, oldest first."""
        try:
            rows = json.loads(self.tools.at.path(RECORD).read_text())
            return tuple(UpdateRef(str(name), str(version)) for name, version in rows)
        except (OSError, ValueError, TypeError):
            return ()

    @contextmanager
    def lifted(self, versions: Iterable[UpdateRef]) -> Iterator[Tools]:
        """Tools that see no lock of ours on these; the endpoint's own where there is none. Changes nothing there."""
        mine = frozenset(self.known()) & frozenset(versions)
        if not mine:
            yield self.tools
            return
        with tempfile.TemporaryDirectory(prefix="brakeline-zypp-") as directory:
            locks, conf = Path(directory) / "locks", Path(directory) / "zypp.conf"
            locks.write_text(without(_text(self.tools.at.path(FILE)), mine))
            conf.write_text(pointed_at(_text(self.tools.at.path(CONFIGURATION)), str(locks)))
            yield replace(self.tools, conf=str(conf))

    def _write(self, before: tuple[UpdateRef, ...], after: tuple[UpdateRef, ...]) -> None:
        after, path = after[-LOCKS_MAX:], self.tools.at.path(FILE)
        text = without(_text(path), frozenset(before)) + "".join(map(block_of, after))
        # The record first: a lock that it names and that is not there is moot, one that nobody knows would be for ever.
        write_public(self.tools.at, RECORD, json.dumps([[v.name, v.version] for v in (*before, *after)]))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, text.encode(), 0o644)
        write_public(self.tools.at, RECORD, json.dumps([[v.name, v.version] for v in after]))


def block_of(v: UpdateRef) -> str:
    """As libzypp writes the lock of one version."""
    return f"\ntype: package\nmatch_type: exact\ncase_sensitive: on\nsolvable_name: {v.name}\nversion: == {v.version}\n"


def without(text: str, versions: frozenset[UpdateRef]) -> str:
    """The file without the locks of these, whatever zypper has made of their order and spaces."""
    kept = [block for block in re.split(r"\n\s*\n", text.strip("\n")) if block.strip() and not _is(block, versions)]
    return "".join(f"\n{block}\n" for block in kept)


def _is(block: str, versions: frozenset[UpdateRef]) -> bool:
    values = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in block.splitlines())}
    version = re.fullmatch(r"==\s*(\S+)", values.get("version", ""))
    return version is not None and UpdateRef(values.get("solvable_name", ""), version[1]) in versions


def pointed_at(configuration: str, locks: str) -> str:
    """zypp.conf with another file of locks and everything else as it is."""
    others = [line for line in configuration.splitlines() if not re.match(r"\s*locksfile\.path\s*=", line)]
    at = next((i + 1 for i, line in enumerate(others) if line.strip() == "[main]"), 0)
    head = [] if at else ["[main]"]
    return "\n".join([*others[:at], *head, f"locksfile.path = {locks}", *others[at:]]) + "\n"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
