"""The brake's journal: presses that survive a crash, a full disk of the database and a database that is away.

Invariant: a press is on the disk (appended and fsynced) before it is acknowledged, and the journal is read before the
first offer after a start. One JSON line a press or release; a torn last line (power cut) was never acknowledged and is
skipped. Small by nature: people press.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from brakeline.core.errors import Unavailable


class BrakeJournal:
    """Which rollouts are braked, by tenant and rollout id."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._braked: dict[tuple[str, str], str] = {}
        self._read()

    def _read(self) -> None:
        try:
            lines = self._path.read_bytes().split(b"\n")
        except FileNotFoundError:
            return
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            key = (str(entry["tenant"]), str(entry["rollout"]))
        except (ValueError, KeyError, TypeError):
            return
        if entry.get("act") == "brake":
            self._braked[key] = str(entry.get("by", ""))
        else:
            self._braked.pop(key, None)

    def pressed(self, tenant_id: str, rollout_id: str) -> bool:
        """Whether nothing of this rollout may be offered, whatever the database says."""
        return (tenant_id, rollout_id) in self._braked

    def all_pressed(self, tenant_id: str) -> dict[str, str]:
        """Rollout id -> who pressed, of one tenant."""
        return {rollout: by for (tenant, rollout), by in self._braked.items() if tenant == tenant_id}

    def press(self, tenant_id: str, rollout_id: str, by: str, at_ms: int) -> None:
        """Durable when it returns. Pressing twice writes once."""
        if not self.pressed(tenant_id, rollout_id):
            self._append({"act": "brake", "tenant": tenant_id, "rollout": rollout_id, "by": by, "at_ms": at_ms})
            self._braked[(tenant_id, rollout_id)] = by

    def release(self, tenant_id: str, rollout_id: str, by: str, at_ms: int) -> None:
        """A person resumed: the press is over."""
        if self.pressed(tenant_id, rollout_id):
            self._append({"act": "release", "tenant": tenant_id, "rollout": rollout_id, "by": by, "at_ms": at_ms})
            del self._braked[(tenant_id, rollout_id)]

    def _append(self, entry: dict[str, object]) -> None:
        # A leading newline ends a torn line of an earlier crash, so that it cannot swallow this one.
        data = b"\n" + json.dumps(entry, sort_keys=True).encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as e:
            raise Unavailable(f"the brake journal cannot be written: {e}", file=str(self._path)) from e
