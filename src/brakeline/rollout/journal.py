"""The brake's journal: presses that survive a crash, a full disk of the database and a database that is away.

Invariant: a press (of one rollout's brake, or of the freeze of a whole tenant) is on the disk (appended and fsynced)
before it is acknowledged, and the journal is read before the first offer after a start. One JSON line a press or
release; a torn last line (power cut) was never acknowledged and is skipped. Small by nature: people press.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from brakeline.core.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Freeze:
    """Everything of a tenant stands still. `by` pressed first; `presses` rises with each press of somebody else, so
    that whoever agreed to lift it agrees no more when one more person wants it."""

    freeze_id: str
    by: str  # a name, for people's eyes
    by_id: str
    since_ms: int
    reason: str = ""
    presses: int = 1
    pressed_by: frozenset[str] = frozenset()  # ids

    def told(self) -> str:
        """`frozen by Olga since 2026-11-26 10:00 UTC: mail is down everywhere`."""
        since = datetime.fromtimestamp(self.since_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        return f"frozen by {self.by} since {since}: {self.reason or 'no reason was given'}"


class BrakeJournal:
    """Which rollouts are braked, by tenant and rollout id, and which tenants are frozen."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._braked: dict[tuple[str, str], str] = {}
        self._frozen: dict[str, Freeze] = {}
        self._lifted: set[tuple[str, str]] = set()
        self._unwritten: set[str] = set()  # tenants whose freeze is in force here and not on the disk
        self._unwritten_presses: set[tuple[str, str]] = set()  # the same of rollouts
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
            tenant_id, act = str(entry["tenant"]), str(entry.get("act"))
            if act in ("freeze", "unfreeze"):
                self._take_freeze(tenant_id, act, entry)
                return
            key = (tenant_id, str(entry["rollout"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        if act == "brake":
            self._braked[key] = str(entry.get("by", ""))
        else:
            self._braked.pop(key, None)

    def _take_freeze(self, tenant_id: str, act: str, entry: dict[str, Any]) -> None:
        freeze_id = str(entry["freeze"])
        if act == "unfreeze":
            self._lifted.add((tenant_id, freeze_id))
            if (known := self._frozen.get(tenant_id)) is not None and known.freeze_id == freeze_id:
                del self._frozen[tenant_id]
            return
        pressed = Freeze(
            freeze_id, str(entry["by"]), str(entry["by_id"]), int(entry["at_ms"]), str(entry["reason"]),
            pressed_by=frozenset({str(entry["by_id"])}),
        )  # fmt: skip
        known = self._frozen.get(tenant_id)
        again = known is not None and known.freeze_id == freeze_id
        self._frozen[tenant_id] = _pressed_again(known, pressed) if known is not None and again else pressed

    # --- one rollout ---------------------------------------------------------------------------------------------

    def pressed(self, tenant_id: str, rollout_id: str) -> bool:
        """Whether nothing of this rollout may be offered, whatever the database says."""
        return tenant_id in self._frozen or (tenant_id, rollout_id) in self._braked

    def all_pressed(self, tenant_id: str) -> dict[str, str]:
        """Rollout id -> who pressed, of one tenant. A freeze brakes no rollout: it is over when it is lifted."""
        return {rollout: by for (tenant, rollout), by in self._braked.items() if tenant == tenant_id}

    def press(self, tenant_id: str, rollout_id: str, by: str, at_ms: int) -> None:
        """Durable when it returns. Pressing twice writes once. Where the disk refuses (`Unavailable`) it is in force
        the same, until this process ends, and the next press writes it."""
        key = (tenant_id, rollout_id)
        if key in self._braked and key not in self._unwritten_presses:
            return
        self._braked.setdefault(key, by)
        self._unwritten_presses.add(key)
        self._append({"act": "brake", "tenant": tenant_id, "rollout": rollout_id, "by": by, "at_ms": at_ms})
        self._unwritten_presses.discard(key)

    def release(self, tenant_id: str, rollout_id: str, by: str, at_ms: int) -> None:
        """A person resumed: the press is over."""
        if (tenant_id, rollout_id) in self._braked:
            self._append({"act": "release", "tenant": tenant_id, "rollout": rollout_id, "by": by, "at_ms": at_ms})
            del self._braked[(tenant_id, rollout_id)]
            self._unwritten_presses.discard((tenant_id, rollout_id))

    # --- everything of a tenant --------------------------------------------------------------------------------------

    def frozen(self, tenant_id: str) -> Freeze | None:
        """The freeze in force, if any."""
        return self._frozen.get(tenant_id)

    def lifted(self, tenant_id: str, freeze_id: str) -> bool:
        """Whether this freeze was lifted."""
        return (tenant_id, freeze_id) in self._lifted

    def freeze(self, tenant_id: str, pressed: Freeze) -> Freeze:
        """Durable when it returns: the freeze now in force. Pressing twice changes nothing, except that another person
        counts, and that a reason counts where none was given. Where the disk refuses (`Unavailable`) it is in force all
        the same, until this process ends, and the next press writes it."""
        known = self._frozen.get(tenant_id)
        news = known is None or pressed.by_id not in known.pressed_by or (pressed.reason and not known.reason)
        if known is not None and not news and tenant_id not in self._unwritten:
            return known
        pressed = replace(pressed, pressed_by=frozenset({pressed.by_id}))
        now = pressed if known is None else _pressed_again(known, pressed)
        self._frozen[tenant_id] = now
        self._unwritten.add(tenant_id)
        self._append({
            "act": "freeze", "tenant": tenant_id, "freeze": now.freeze_id, "by": pressed.by, "by_id": pressed.by_id,
            "at_ms": pressed.since_ms, "reason": pressed.reason,
        })  # fmt: skip
        self._unwritten.discard(tenant_id)
        return now

    def unfreeze(self, tenant_id: str, freeze_id: str, by: str, at_ms: int) -> None:
        """The freeze of this id is over, for good; one that was pressed since holds."""
        if not self.lifted(tenant_id, freeze_id):
            self._append({"act": "unfreeze", "tenant": tenant_id, "freeze": freeze_id, "by": by, "at_ms": at_ms})
            self._take_freeze(tenant_id, "unfreeze", {"freeze": freeze_id})

    def _append(self, entry: dict[str, object]) -> None:
        # A leading newline ends a torn line of an earlier crash, so that it cannot swallow this one.
        data = b"\n" + json.dumps(entry, sort_keys=True).encode() + b"\n"
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            new = not self._path.exists()
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                if os.write(handle, data) != len(data):
                    raise OSError("the disk took a part of the line only")
                os.fsync(handle)
            finally:
                os.close(handle)
            if new:  # a file whose name is not on the disk is lost with the power, whatever is in it
                _sync_directory(self._path.parent)
        except OSError as e:
            raise Unavailable(f"the brake journal cannot be written: {e}", file=str(self._path)) from e


def _pressed_again(known: Freeze, pressed: Freeze) -> Freeze:
    news = pressed.by_id not in known.pressed_by
    return replace(
        known, reason=known.reason or pressed.reason, presses=known.presses + news,
        pressed_by=known.pressed_by | {pressed.by_id},
    )  # fmt: skip


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
