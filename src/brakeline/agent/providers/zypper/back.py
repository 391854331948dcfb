"""Stores the way back before a transaction begins: the inverse, and a copy of each former package's archive.

An archive is believed only if its header's SHA-256 is the one that rpm has recorded of the installed package: it is the
very package that is there now, wherever the file was found (zypper's cache, or downloaded again from the endpoint's
repositories). `DIR/<transaction id>/` appears complete (flushed, then renamed) or not at all. Bounded: the oldest goes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.files import flush_directory, write_durably
from brakeline.agent.providers.apt.plan import named
from brakeline.agent.providers.model import Archive, Inverse, Order
from brakeline.agent.providers.zypper.inverse import inverse_of
from brakeline.agent.providers.zypper.rpmdb import Installed
from brakeline.agent.providers.zypper.staging import cached, file_name
from brakeline.agent.providers.zypper.tools import Tools
from brakeline.protocol import codec
from brakeline.protocol.messages import Action, WayBack

DIRECTORY: Final = "/var/lib/brakeline-helper/back-zypper"
KEPT_BYTES_MAX: Final = 512 * 1024 * 1024
KEPT_MAX: Final = 50
FETCH_S_MAX: Final = 600.0


@dataclass(frozen=True, slots=True)
class Back:
    """The store of ways back on one endpoint; `directory` as the endpoint names it."""

    tools: Tools
    directory: str = DIRECTORY
    bytes_max: int = KEPT_BYTES_MAX

    def keep(
        self, order: Order, installed: Iterable[Installed], now_ms: int, log: Callable[[str], None], left_s: float
    ) -> WayBack:
        """Store the inverse of what is about to be done. Never stands in the way of the update itself."""
        if order.inverse is not None:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        try:
            kept = self._store(order, {(p.key, p.version): p for p in installed}, now_ms, min(left_s, FETCH_S_MAX))
        except OSError as e:
            kept = WayBack(False, code="no_space", reason=f"The way back could not be stored: {e.strerror}.")
        log(kept.told[0].upper() + kept.told[1:])
        return kept

    def _store(
        self, order: Order, installed: Mapping[tuple[str, str], Installed], now_ms: int, left_s: float
    ) -> WayBack:
        wanted = [a for a in order.transaction.actions if a.before]
        found = self._found(wanted, installed, left_s)
        if gone := [f"{a.name} {a.before}" for a in wanted if a not in found]:
            return WayBack(
                False, code="gone", reason=f"{named(gone)} cannot be had any more from this endpoint's repositories."
            )
        if (size := sum(p.stat().st_size for p in found.values())) > self.bytes_max:
            return WayBack(
                False,
                code="too_large",
                reason=f"The former packages have {size >> 20} MiB; {self.bytes_max >> 20} are kept.",
            )
        self._make_room(size)
        aside = self._path("new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True, mode=0o700)
        archives = tuple(self._copy(a, found[a], aside, order.transaction_id) for a in wanted)
        inverse = Inverse(order.transaction_id, order.rollout_id, inverse_of(order.transaction), archives, (), now_ms)
        write_durably(aside / "inverse.json", codec.encode(inverse))
        shutil.rmtree(self._path(order.transaction_id), ignore_errors=True)
        os.rename(aside, self._path(order.transaction_id))
        flush_directory(self._path("."))
        return WayBack(True, len(inverse.transaction.actions))

    def _found(
        self, wanted: list[Action], installed: Mapping[tuple[str, str], Installed], left_s: float
    ) -> dict[Action, Path]:
        """The file of each former package that is proven to be the installed one; fetched if it has to be."""
        found = self._in_cache(wanted, installed)
        if missing := [a for a in wanted if a not in found]:
            words = [f"{a.name}={a.before}" for a in missing]
            self.tools.at.job(*self.tools.zypper("download", *words), timeout_s=max(1.0, left_s))
            found = self._in_cache(wanted, installed)
        return found

    def _in_cache(self, wanted: list[Action], installed: Mapping[tuple[str, str], Installed]) -> dict[Action, Path]:
        files, found = cached(self.tools), {}
        for a in wanted:
            path, identity = files.get((a.name, a.before, a.architecture), (Path(), ""))
            here = installed.get((f"{a.name}:{a.architecture}", a.before))
            if identity and here is not None and identity == here.identity:
                found[a] = path
        return found

    def _copy(self, a: Action, path: Path, aside: Path, transaction_id: str) -> Archive:
        name = file_name(a.name, a.before, a.architecture)
        shutil.copyfile(path, aside / name)
        with open(aside / name, "rb") as f:
            os.fsync(f.fileno())
        return Archive(
            a.name, a.architecture, a.before, f"{self.directory}/{transaction_id}/{name}", sha256(aside / name)
        )

    # --- what is stored ---

    def of_transaction(self, transaction_id: str) -> Inverse | None:
        """The stored inverse of this transaction."""
        try:
            return codec.decode(Inverse, self._path(f"{transaction_id}/inverse.json").read_bytes())
        except (OSError, codec.Malformed, UnicodeDecodeError):
            return None

    def of_rollout(self, rollout_id: str) -> Inverse | None:
        """The newest stored inverse of what a rollout has done here."""
        found = [x for x in map(self.of_transaction, self._ids()) if x is not None and x.rollout_id == rollout_id]
        return max(found, key=lambda x: x.made_ms, default=None)

    def way_back(self, transaction_id: str) -> WayBack | None:
        """What was stored for a transaction whose run was lost; None = nothing."""
        inverse = self.of_transaction(transaction_id)
        return WayBack(True, len(inverse.transaction.actions)) if inverse is not None else None

    def damaged(self, inverse: Inverse) -> str:
        """The first archive that is not what was stored; "" = all are."""
        bad = (x for x in inverse.archives if sha256(self.tools.at.path(x.path)) != x.sha256)
        return next((f"{x.name} {x.version}" for x in bad), "")

    def _make_room(self, needed: int) -> None:
        """Forget the oldest ways back until this one fits."""
        kept = sorted(self._ids(), key=lambda i: getattr(self.of_transaction(i), "made_ms", 0))
        sizes = {i: sum(p.stat().st_size for p in self._path(i).iterdir()) for i in kept}
        while kept and (len(kept) >= KEPT_MAX or sum(sizes[i] for i in kept) + needed > self.bytes_max):
            shutil.rmtree(self._path(kept.pop(0)), ignore_errors=True)

    def _ids(self) -> tuple[str, ...]:
        try:
            return tuple(sorted(p.name for p in self._path(".").iterdir() if p.name.startswith("tx_")))
        except OSError:
            return ()

    def _path(self, name: str) -> Path:
        return self.tools.at.path(f"{self.directory}/{name}")


def sha256(path: Path) -> str:
    """Hex; "" = it cannot be read."""
    try:
        with open(path, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError:
        return ""
