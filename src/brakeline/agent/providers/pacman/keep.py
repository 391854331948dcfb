"""Stores the way back before a transaction begins: the inverse, and a copy of each former package file.

Former files come from pacman's own cache, never from a repository: Arch keeps one version of a package only. A file is
believed by its SHA-256 alone: the one that a verified sync database of this endpoint has named for that version, at
some refresh (`known.json`). `DIR/<transaction id>/` appears complete or not at all. Bounded; the oldest goes first.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.files import flush_directory, write_durably
from brakeline.agent.providers.apt.inverse import joined
from brakeline.agent.providers.apt.keep import KEPT_BYTES_MAX, KEPT_MAX, _sha256, _tree_bytes
from brakeline.agent.providers.apt.plan import make_transaction, named
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.model import Archive, Inverse, Order, Refused
from brakeline.agent.providers.pacman.plan import archive_of, inverse_of
from brakeline.agent.providers.pacman.records import Installed, by_name
from brakeline.protocol import codec
from brakeline.protocol.messages import WayBack

DIRECTORY: Final = "/var/lib/brakeline-helper/back-pacman"
KNOWN_VERSIONS: Final = 3  # whose hashes are remembered, per package
Known = dict[str, dict[str, str]]  # name -> version -> SHA-256


class _No(Exception):
    """There is no way back; never leaves this module."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


@dataclass(frozen=True, slots=True)
class Keeper:
    """The store on one endpoint; `directory` as the endpoint names it."""

    runner: Runner
    directory: str = DIRECTORY
    bytes_max: int = KEPT_BYTES_MAX

    def keep(self, order: Order, cached: Mapping[str, str], before: Iterable[Installed], now_ms: int,
             log: Callable[[str], None]) -> WayBack:  # fmt: skip
        """Store the inverse of what is about to be done. Never stands in the way of the update itself."""
        if order.inverse is not None:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        try:
            kept = self._store(order, cached, by_name(before), now_ms)
        except _No as no:
            kept = WayBack(False, code=no.code, reason=no.reason)
        except OSError as e:
            kept = WayBack(False, code="no_space", reason=f"The way back could not be stored: {e.strerror}.")
        log(kept.told[0].upper() + kept.told[1:])
        return kept

    def learn(self, hashes: Mapping[tuple[str, str], str]) -> None:
        """Remember what verified databases vouch for now: tomorrow they name newer versions only."""
        known = self._known()
        for (name, version), sha256 in hashes.items():
            versions = known.setdefault(name, {})
            versions.pop(version, None)
            versions[version] = sha256
            for old in list(versions)[:-KNOWN_VERSIONS]:
                del versions[old]
        try:
            self._path("").mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(self._path("known.json"), codec.encode(known))
        except OSError:
            return  # one way back less some day

    def left(self, rollout_id: str, installed: Iterable[Installed]) -> Inverse | Refused:
        """The stored inverse of what a rollout did here, with what is left of it to do."""
        found = [x for x in map(self.of_transaction, self._ids()) if x is not None and x.rollout_id == rollout_id]
        if not found:
            return Refused("no_way_back", "No way back from that rollout is stored on this endpoint.")
        stored, have, left = max(found, key=lambda x: x.made_ms), by_name(installed), []
        for a in stored.transaction.actions:
            now = have[a.name].version if a.name in have else ""
            if now == a.before:
                left.append(a)
            elif now != a.after:
                return Refused("changed", f"{a.name} is {now or 'gone'} now, not {a.before or 'gone'}: changed since.")
        if not left:
            return Refused("nothing_to_do", "Every package is as it was before that update.")
        if damaged := self.damaged(stored):
            return Refused("no_way_back", f"The kept archive of {damaged} is damaged or gone.")
        return Inverse(
            stored.transaction_id, rollout_id, make_transaction(left), stored.archives, stored.automatic, stored.made_ms
        )

    def of_transaction(self, transaction_id: str) -> Inverse | None:
        try:
            return codec.decode(Inverse, self._path(f"{transaction_id}/inverse.json").read_bytes())
        except (OSError, codec.Malformed, UnicodeDecodeError):
            return None

    def way_back(self, transaction_id: str) -> WayBack | None:
        """What was stored for a transaction whose run was lost; None = nothing."""
        inverse = self.of_transaction(transaction_id)
        return WayBack(True, len(inverse.transaction.actions)) if inverse is not None else None

    def damaged(self, inverse: Inverse) -> str:
        """The first archive that is not what was stored; "" = all are."""
        bad = (x for x in inverse.archives if _sha256(self.runner.path(x.path)) != x.sha256)
        return next((f"{x.name} {x.version}" for x in bad), "")

    # --- storing ---

    def _store(self, order: Order, cached: Mapping[str, str], have: Mapping[str, Installed], now_ms: int) -> WayBack:
        wanted = [a for a in order.transaction.actions if a.before and a.before != a.after]
        earlier = self._earlier(order)
        known, place = self._known(), f"{self.directory}/{order.transaction_id}"
        archives, sources, unknown, gone = [], [], [], []
        for a in wanted:
            sha256 = known.get(a.name, {}).get(a.before, "")
            architecture = (have[a.name].architecture if a.name in have else "") or a.architecture
            file = archive_of(a.name, a.before, architecture, cached)
            if not file:
                gone.append(f"{a.name} {a.before}")
            elif not sha256 or _sha256(self.runner.path(cached[file])) != sha256:
                unknown.append(f"{a.name} {a.before}")
            else:
                archives.append(Archive(a.name, a.architecture, a.before, f"{place}/{file}", sha256))
                sources.append(cached[file])
        if gone:
            raise _No("gone", f"{named(gone)} is not in pacman's cache, and repositories keep one version only.")
        if unknown:
            raise _No(
                "unknown_origin", f"No configured repository ever vouched here for the archive of {named(unknown)}."
            )
        automatic = tuple(sorted(x.name for x in archives if x.name in have and not have[x.name].explicit))
        inverse = Inverse(order.transaction_id, order.rollout_id, inverse_of(order.transaction), tuple(archives),
                          automatic, now_ms)  # fmt: skip
        if earlier is not None:
            inverse = joined(inverse, earlier, place)
            more = {x.name for x in inverse.archives} - {x.name for x in archives}
            sources += [x.path for x in earlier.archives if x.name in more]
        self._make_room(sum(self.runner.path(s).stat().st_size for s in sources))
        self._write(inverse, sources)
        return WayBack(True, len(inverse.transaction.actions))

    def _earlier(self, order: Order) -> Inverse | None:
        """The way back of this rollout's earlier try: what it left half-installed has no other."""
        again = [f"{a.name} {a.before}" for a in order.transaction.actions if a.before and a.before == a.after]
        if not again:
            return None
        found = [x for x in map(self.of_transaction, self._ids()) if x is not None and x.rollout_id == order.rollout_id]
        earlier = max(found, key=lambda x: x.made_ms, default=None)
        if earlier is None or self.damaged(earlier):
            raise _No("gone", f"{named(again)} was left half-installed, and what it was before is not kept.")
        return earlier

    def automatic(self) -> frozenset[str]:
        """Packages that came because others need them, as far as ways back remember."""
        return frozenset(n for x in map(self.of_transaction, self._ids()) if x is not None for n in x.automatic)

    def _write(self, inverse: Inverse, sources: list[str]) -> None:
        aside = self._path("new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True, mode=0o700)
        try:
            for x, source in zip(inverse.archives, sources, strict=True):
                _copy_durably(self.runner.path(source), aside / Path(x.path).name)
            write_durably(aside / "inverse.json", codec.encode(inverse))
            shutil.rmtree(self._path(inverse.transaction_id), ignore_errors=True)
            os.rename(aside, self._path(inverse.transaction_id))
            flush_directory(self._path(""))
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _make_room(self, needed: int) -> None:
        if needed > self.bytes_max:
            mib = 1024 * 1024
            raise _No("too_large", f"The former packages have {needed // mib} MiB; {self.bytes_max // mib} are kept.")
        kept = sorted(self._ids(), key=lambda i: getattr(self.of_transaction(i), "made_ms", 0))
        sizes = {i: _tree_bytes(self._path(i)) for i in kept}
        while kept and (len(kept) >= KEPT_MAX or sum(sizes[i] for i in kept) + needed > self.bytes_max):
            shutil.rmtree(self._path(kept.pop(0)), ignore_errors=True)

    def _known(self) -> Known:
        try:
            return codec.decode(Known, self._path("known.json").read_bytes())
        except (OSError, codec.Malformed, UnicodeDecodeError):
            return {}

    def _ids(self) -> tuple[str, ...]:
        try:
            return tuple(sorted(p.name for p in self._path("").iterdir() if p.name.startswith("tx_")))
        except OSError:
            return ()

    def _path(self, name: str) -> Path:
        return self.runner.path(f"{self.directory}/{name}" if name else self.directory)


def _copy_durably(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
    handle = os.open(target, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
