"""Ways back of one endpoint: the exact inverse of each transaction, on disk before anything is changed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt.inverse import inverse_of, joined
from brakeline.agent.providers.model import Archive, Inverse, Order
from brakeline.core.errors import Fault
from brakeline.protocol import codec
from brakeline.protocol.messages import WayBack

RECORD: Final = "inverse.json"
KEPT_MAX: Final = 20  # ways back; the oldest go


@dataclass(frozen=True, slots=True)
class WaysBack:
    """`directory`: where only administrators write, as it is for us."""

    directory: Path

    def keep(self, order: Order, archives: Iterable[Archive], why_not: str, now_ms: int) -> WayBack:
        """Store the inverse; `why_not`: why there is none, a sentence without its point."""
        if order.inverse is not None:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        place = self.place(order.rollout_id)
        if why_not:
            return WayBack(False, code="gone", reason=f"{why_not[:1].upper()}{why_not[1:]}.")
        try:
            self._forget_oldest()
            earlier = self.stored(order.rollout_id)  # of a try that did a part of it: that has no other way back
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            back = inverse_of(order.transaction)
            made = Inverse(order.transaction_id, order.rollout_id, back, tuple(archives), made_ms=now_ms)
            made = made if earlier is None else joined(made, earlier)
            write_durably(place / RECORD, codec.encode(made))
        except OSError as e:
            return WayBack(False, code="no_space", reason=f"The way back could not be written: {e.strerror}.")
        return WayBack(True, len(made.transaction.actions))

    def place(self, rollout_id: str) -> Path:
        """Whatever an order calls its rollout, it names nothing outside of ours."""
        return self.directory / hashlib.sha256(rollout_id.encode()).hexdigest()[:32]

    def stored(self, rollout_id: str) -> Inverse | None:
        """The inverse of this rollout; None = there is none that could be read."""
        return self._read(self.place(rollout_id))

    def digests(self) -> frozenset[str]:
        """Of every file that a stored way back would need."""
        found = (self._read(place) for place in self.directory.glob("*"))
        return frozenset(a.sha256 for inverse in found if inverse is not None for a in inverse.archives)

    def _read(self, place: Path) -> Inverse | None:
        try:
            return codec.decode(Inverse, (place / RECORD).read_bytes())
        except (OSError, Fault):
            return None

    def _forget_oldest(self) -> None:
        kept = sorted(self.directory.glob("*"), key=lambda p: p.stat().st_mtime_ns)
        for place in kept[: max(0, len(kept) - KEPT_MAX + 1)]:
            shutil.rmtree(place, ignore_errors=True)
