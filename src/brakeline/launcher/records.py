"""The record on the disk: two slots of 4 KiB that were allocated once. A commit overwrites the older and syncs it.

Invariants: a slot that was not written whole does not count (SHA-256 in its first line), so one of the two is always
the last or the one before; nothing is renamed, no directory changes, no block is allocated: a full disk is no obstacle.
A slot whose write or sync has failed may be read back whole and still not be on the disk: it is the next to be written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, Final

from brakeline.launcher.disk import Disk, allocate
from brakeline.launcher.model import Attempt, Record, Run, TrialEnd
from brakeline.trust.model import Floors

SLOT_BYTES: Final = 4096
SLOTS: Final = ("state/s0", "state/s1")
RELEASES_MAX: Final = 24  # of each list at most; the newest stay
DETAIL_MAX: Final = 400


class Records:
    """Loads and commits. One writer."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._durable = ""  # the slot that is known to be on the disk; "" = whichever is newer

    def prepare(self) -> None:
        """Allocate what is missing, once. The newest record is written once more over itself, the same bytes: a process
        before us may have failed to sync it, and then it would only be thought to be on the disk.
        """
        self._disk.mkdir("state")
        allocate(self._disk, dict.fromkeys(SLOTS, bytes(SLOT_BYTES)))
        newest = self._newest()
        if newest:
            self._disk.overwrite(newest, self._disk.read(newest))
            self._disk.sync(newest)

    def load(self) -> tuple[Record, str]:
        """The newest whole record and "" — or an empty one and what is wrong."""
        found = [record for slot in SLOTS if (record := self._slot(slot)) is not None]
        if found:
            return max(found, key=lambda r: r.generation), ""
        return Record(), "state_lost: neither record of the launcher can be read"

    def commit(self, record: Record) -> None:
        """Durable when it returns. Raises `OSError`; the older record stands then."""
        held = [r.generation if (r := self._slot(slot)) is not None else -1 for slot in SLOTS]
        if record.generation <= max(held):  # one that failed stands there all the same: this one must be newer
            record = dataclasses.replace(record, generation=max(held) + 1)
        stays = self._durable or self._newest() or SLOTS[1]
        other = SLOTS[1 - SLOTS.index(stays)]
        if not self._disk.exists(other):
            self.prepare()
        self._durable = stays  # until the other one is, whatever can be read there
        self._disk.overwrite(other, encode(record))
        self._disk.sync(other)
        self._durable = other

    def _newest(self) -> str:
        """The slot with the newest whole record, "" = there is none."""
        held = {slot: record.generation for slot in SLOTS if (record := self._slot(slot)) is not None}
        return max(held, key=lambda slot: held[slot]) if held else ""

    def _slot(self, slot: str) -> Record | None:
        try:
            return decode(self._disk.read(slot))
        except OSError:
            return None


def encode(record: Record) -> bytes:
    """Exactly one slot. What does not fit gives way, the oldest first and words before facts: a commit never fails."""
    for most, words in ((RELEASES_MAX, DETAIL_MAX), (RELEASES_MAX, 0), (RELEASES_MAX // 2, 0), (4, 0)):
        body = _body(record, most, words)
        slot = hashlib.sha256(body).hexdigest().encode() + b"\n" + body + b"\n"
        if len(slot) <= SLOT_BYTES:
            return slot.ljust(SLOT_BYTES, b"\0")
    raise OSError(27, f"a record of {len(slot)} bytes does not fit its slot")


def _body(record: Record, most: int, words: int) -> bytes:
    end = record.last_trial
    if end is not None:  # what a release has written is its own choice: no character of it may grow when encoded
        plain = "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in end.detail)
        end = dataclasses.replace(end, detail=plain[:words])
    bounded = dataclasses.replace(
        record, quarantined=record.quarantined[-most:], recalled=record.recalled[-most:], attempts=(), last_trial=end
    )
    plain_record = dataclasses.asdict(bounded)
    plain_record["attempts"] = [[a.release_id, a.runs, a.refunds] for a in record.attempts[-most:]]
    return json.dumps(plain_record, sort_keys=True, separators=(",", ":")).encode()


def decode(slot: bytes) -> Record | None:
    """The record, or None if the slot was not written whole."""
    digest, _, rest = slot.partition(b"\n")
    body = rest.partition(b"\n")[0]
    if hashlib.sha256(body).hexdigest().encode() != digest:
        return None
    try:
        return _record(json.loads(body))
    except (ValueError, TypeError, KeyError):
        return None  # of a newer launcher with other fields: the other slot or a rebuild


def _record(plain: dict[str, Any]) -> Record:
    plain = _known(Record, plain)
    for name in ("quarantined", "recalled"):
        plain[name] = tuple(plain.get(name, ()))
    plain["attempts"] = tuple(Attempt(*a) for a in plain.get("attempts", ()))
    plain["run"] = Run(**_known(Run, plain["run"])) if plain.get("run") else None
    plain["last_trial"] = TrialEnd(**_known(TrialEnd, plain["last_trial"])) if plain.get("last_trial") else None
    plain["floors"] = Floors(**_known(Floors, plain.get("floors", {})))
    return Record(**plain)


def _known(kind: Any, plain: dict[str, Any]) -> dict[str, Any]:
    """Without the fields that only a newer launcher knows."""
    names = {f.name for f in dataclasses.fields(kind)}
    return {k: v for k, v in plain.items() if k in names}
