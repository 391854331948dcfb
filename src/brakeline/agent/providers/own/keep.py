"""The way back from a transaction of own packages: its exact inverse, on disk before the first script is run."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt.inverse import inverse_of
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.model import Archive, Inverse, Order
from brakeline.agent.providers.own.staging import Store
from brakeline.core.errors import Fault
from brakeline.protocol import codec
from brakeline.protocol.messages import WayBack
from brakeline.protocol.software import Document

RECORD = "inverse.json"
KEPT_MAX = 20  # ways back; the oldest go


@dataclass(frozen=True, slots=True)
class Keeper:
    """Ways back of one endpoint; `directory` is root's."""

    runner: Runner
    directory: str
    store: Store

    def keep(self, order: Order, needed: Iterable[Document], why_not: str, now_ms: int) -> WayBack:
        """Store the inverse, with the packages `needed` for it; `why_not`: why there is none."""
        if order.inverse is not None:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        place = self.place(order.rollout_id)
        shutil.rmtree(self.runner.path(place), ignore_errors=True)
        if why_not:
            return WayBack(False, code="gone", reason=f"{why_not[:1].upper()}{why_not[1:]}.")
        self._forget_oldest()
        self.runner.path(place).mkdir(parents=True, exist_ok=True, mode=0o700)
        archives = tuple(
            Archive(d.software.name, "own", d.version, str(self.store.path(a)), a.sha256)
            for d in needed if (a := d.software.artifact) is not None
        )  # fmt: skip
        back = inverse_of(order.transaction)
        inverse = Inverse(order.transaction_id, order.rollout_id, back, archives, made_ms=now_ms)
        write_durably(self.runner.path(place) / RECORD, codec.encode(inverse))
        return WayBack(True, len(back.actions))

    def place(self, rollout_id: str) -> str:
        """The directory of one way back; whatever an order calls its rollout, it names nothing outside of ours."""
        return f"{self.directory}/{hashlib.sha256(rollout_id.encode()).hexdigest()[:32]}"

    def stored(self, rollout_id: str) -> Inverse | None:
        """The inverse of this rollout; None = there is none that could be read."""
        try:
            return codec.decode(Inverse, (self.runner.path(self.place(rollout_id)) / RECORD).read_bytes())
        except (OSError, Fault):
            return None

    def versions(self) -> frozenset[str]:
        """Every version that a stored way back would need."""
        found: set[str] = set()
        for entry in self._entries():
            try:
                inverse = codec.decode(Inverse, (self.runner.path(self.directory) / entry / RECORD).read_bytes())
            except (OSError, Fault):
                continue
            found |= {v for a in inverse.transaction.actions for v in (a.before, a.after)}
        return frozenset(found)

    def _entries(self) -> list[str]:
        try:
            return os.listdir(self.runner.path(self.directory))
        except FileNotFoundError:
            return []

    def _forget_oldest(self) -> None:
        base = self.runner.path(self.directory)
        kept = sorted(self._entries(), key=lambda name: (base / name).stat().st_mtime_ns)
        for name in kept[: max(0, len(kept) - KEPT_MAX + 1)]:
            shutil.rmtree(base / name, ignore_errors=True)
