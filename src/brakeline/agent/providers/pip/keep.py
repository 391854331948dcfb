"""The way back from a transaction of pip: the exact inverse and the former wheels, on disk beforehand."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt.inverse import joined
from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.model import Archive, Inverse, Order
from brakeline.agent.providers.pip.report import normal
from brakeline.agent.providers.pip.resolver import Resolver
from brakeline.protocol import codec
from brakeline.protocol.messages import Action, ActionKind, Transaction, WayBack

RECORD = "inverse.json"
KEPT_MAX = 20  # ways back; the oldest go


def inverse_of(transaction: Transaction) -> Transaction:
    """What puts everything back: what was upgraded goes down again, whatever was new goes."""
    return make_transaction(
        Action(ActionKind.DOWNGRADE, a.name, a.architecture, a.after, a.before) if a.before
        else Action(ActionKind.REMOVE, a.name, a.architecture, a.after, "")
        for a in transaction.actions
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keeper:
    """Ways back of one endpoint; `directory` is root's."""

    runner: Runner
    directory: str

    def keep(self, order: Order, resolver: Resolver, now_ms: int, timeout_s: float) -> WayBack:
        """Store the inverse; without it an update may still be done, and the result says that there is no way back."""
        if order.inverse is not None:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        place = self.place(order.rollout_id)
        self.forget_oldest()
        earlier = self.stored(order.rollout_id)  # of a try that did a part of it: that has no other way back
        if earlier is None:
            shutil.rmtree(self.runner.path(place), ignore_errors=True)
        former = [(a.name, a.before) for a in order.transaction.actions if a.before]
        if former and (missing := resolver.fetch_former(former, place, timeout_s)):
            if earlier is None:
                shutil.rmtree(self.runner.path(place), ignore_errors=True)
            return WayBack(False, code="gone", reason=f"A former version cannot be had any more. {missing.reason}")
        self.runner.path(place).mkdir(parents=True, exist_ok=True, mode=0o700)
        back = inverse_of(order.transaction)
        label = order.transaction.actions[0].architecture
        kept = archives(self.runner, place, label)
        inverse = Inverse(order.transaction_id, order.rollout_id, back, kept, made_ms=now_ms)
        if earlier is not None:
            inverse = joined(inverse, earlier)
            inverse = replace(inverse, archives=tuple(dict.fromkeys(inverse.archives)))  # one place holds both's wheels
        write_durably(self.runner.path(place) / RECORD, codec.encode(inverse))
        return WayBack(True, len(inverse.transaction.actions))

    def place(self, rollout_id: str) -> str:
        """The directory of one way back; whatever an order calls its rollout, it names nothing outside of ours."""
        return f"{self.directory}/{hashlib.sha256(rollout_id.encode()).hexdigest()[:32]}"

    def forget_oldest(self) -> None:
        """Make room for one more way back."""
        try:
            kept = sorted(os.scandir(self.runner.path(self.directory)), key=lambda e: e.stat().st_mtime)
        except FileNotFoundError:
            return
        for entry in kept[: max(0, len(kept) - KEPT_MAX + 1)]:
            shutil.rmtree(entry.path, ignore_errors=True)

    def stored(self, rollout_id: str) -> Inverse | None:
        """The inverse of this rollout; None = there is none that could be read."""
        try:
            return codec.decode(Inverse, (self.runner.path(self.place(rollout_id)) / RECORD).read_bytes())
        except (OSError, codec.Malformed):
            return None

    def damaged(self, inverse: Inverse) -> str:
        """ "" or the package whose kept wheel is not what was stored."""
        for kept in inverse.archives:
            try:
                same = hashlib.sha256(self.runner.path(kept.path).read_bytes()).hexdigest() == kept.sha256
            except OSError:
                same = False
            if not same:
                return kept.name
        return ""


def archives(runner: Runner, place: str, label: str) -> tuple[Archive, ...]:
    """The wheels in a directory; the name of a wheel begins with name and version (PEP 427)."""
    found = []
    for name in sorted(os.listdir(runner.path(place))):
        if name.endswith(".whl"):
            package, version = name.split("-")[:2]
            digest = hashlib.sha256((runner.path(place) / name).read_bytes()).hexdigest()
            found.append(Archive(normal(package), label, version, f"{place}/{name}", digest))
    return tuple(found)


def unpacked_bytes(directory: Path) -> int:
    """What the wheels of a directory come to when they are unpacked."""
    total = 0
    for path in directory.glob("*.whl"):
        with zipfile.ZipFile(path) as wheel:
            total += sum(i.file_size for i in wheel.infolist())
    return total
