"""The way back from a transaction of npm: the exact inverse and the former trees themselves, on disk beforehand.

A tree is kept as one archive of its files, as it was, with whatever scripts had built in it: the registry is not needed
to come back, and nothing is resolved anew. Restoring renames directories and sets the links of programs; no npm is run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from brakeline.agent.files import write_durably
from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.inverse import joined
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.model import Archive, Inverse, Order
from brakeline.agent.providers.npm.answers import actions
from brakeline.agent.providers.npm.folders import Folder, manifest, size_of
from brakeline.agent.providers.pip.keep import KEPT_MAX, RECORD, Keeper
from brakeline.protocol import codec
from brakeline.protocol.managers import belongs, slug
from brakeline.protocol.messages import Transaction, WayBack

KEPT_BYTES_MAX = 1 << 30  # of all ways back of npm together; the oldest go


def tops(transaction: Transaction, label: str) -> tuple[tuple[str, str, str], ...]:
    """(name, before, after) of the global packages that a transaction changes."""
    return tuple((a.name, a.before, a.after) for a in transaction.actions if a.architecture == label)


def inverse_of(transaction: Transaction) -> Transaction:
    """What puts everything back."""
    before = {(a.name, a.architecture): a.before for a in transaction.actions if a.before}
    after = {(a.name, a.architecture): a.after for a in transaction.actions if a.after}
    return rules.make_transaction(actions(after, before))


def without(inverse: Inverse, apps: Collection[str], label: str) -> Inverse:
    """What an inverse says of other global packages than these, and of all that lies below those."""
    kept = [
        a for a in inverse.transaction.actions
        if not any(belongs(app, label, (a.name, a.architecture)) for app in apps)
    ]  # fmt: skip
    files = tuple(x for x in inverse.archives if x.name not in apps)
    return replace(inverse, transaction=rules.make_transaction(kept), archives=files)


@dataclass(frozen=True, slots=True)
class Trees:
    """Former trees of one folder; `directory` is root's."""

    runner: Runner
    folder: Folder
    directory: str

    @property
    def keeper(self) -> Keeper:
        return Keeper(self.runner, self.directory)

    def keep(self, order: Order, now_ms: int, spare_bytes: int) -> WayBack:
        """Store the inverse; without it an update may still be done, and the result says that there is no way back."""
        if order.inverse is not None:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        place = self.keeper.place(order.rollout_id)
        here, earlier = self.runner.path(place), self.keeper.stored(order.rollout_id)
        try:
            if earlier is None:
                shutil.rmtree(here, ignore_errors=True)
            here.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._make_room(place, order) < spare_bytes:
                _clear(here, earlier)
                return WayBack(False, code="no_space", reason="There is too little room to keep the former packages.")
            inverse = self._inverse(order, earlier, place, now_ms)
            write_durably(here / RECORD, codec.encode(inverse))
        except OSError as e:
            _clear(here, earlier)
            return WayBack(False, code="no_space", reason=f"The former packages could not be kept: {e.strerror}.")
        _clear(here, inverse)
        return WayBack(True, len(inverse.transaction.actions))

    def _inverse(self, order: Order, earlier: Inverse | None, place: str, now_ms: int) -> Inverse:
        """With what an earlier try of the same rollout did to other packages: that has no other way back."""
        apps = [app for app, _, _ in self.tops(order)]
        kept = tuple(
            self._pack(app, before, f"{place}/{order.transaction_id}.{slug(app)}.tar")
            for app, before, _ in self.tops(order)
        )
        back = inverse_of(order.transaction)
        inverse = Inverse(order.transaction_id, order.rollout_id, back, kept, made_ms=now_ms)
        return inverse if earlier is None else joined(inverse, without(earlier, apps, self.folder.label))

    def _make_room(self, place: str, order: Order) -> int:
        """Forget the oldest until this one fits into what all may take; bytes that would be free afterwards."""
        here = self.runner.path(place)
        mine = sum(size_of(self.runner.path(self.folder.home(app))) for app, _, _ in self.tops(order))
        others = sorted((p for p in here.parent.iterdir() if p != here), key=lambda p: p.stat().st_mtime)
        while others and (len(others) >= KEPT_MAX or sum(map(size_of, (here, *others))) + mine > KEPT_BYTES_MAX):
            shutil.rmtree(others.pop(0), ignore_errors=True)
        s = os.statvfs(here)
        return s.f_bavail * s.f_frsize - mine

    def tops(self, order: Order) -> tuple[tuple[str, str, str], ...]:
        return tops(order.transaction, self.folder.label)

    def _pack(self, app: str, version: str, path: str) -> Archive:
        with tarfile.open(self.runner.path(path), "w") as tar:
            tar.add(self.runner.path(self.folder.home(app)), arcname="tree")
        digest = _sha256(self.runner.path(path))
        return Archive(app, self.folder.label, version, path, digest)

    def restore(self, archive: Archive) -> None:
        """The tree of one global package as it was, and its programs. OSError or tarfile's errors when it cannot be."""
        home = self.runner.path(self.folder.home(archive.name))
        fresh, aside = (home.with_name(f".brakeline-{part}-{home.name}") for part in ("new", "old"))
        for path in (fresh, aside):
            shutil.rmtree(path, ignore_errors=True)
        with tarfile.open(self.runner.path(archive.path)) as tar:
            tar.extractall(fresh, filter="tar")
        if home.exists():
            home.rename(aside)
        (fresh / "tree").rename(home)
        os.rmdir(fresh)
        self._link(home)
        shutil.rmtree(aside, ignore_errors=True)

    def _link(self, home: Path) -> None:
        """Programs of this package are those that it names, and no others."""
        place = self.runner.path(f"{self.folder.prefix}/bin")
        place.mkdir(parents=True, exist_ok=True)
        for entry in list(os.scandir(place)):
            target = os.path.normpath(place / os.readlink(entry.path)) if entry.is_symlink() else ""
            if Path(target).is_relative_to(home):
                os.unlink(entry.path)
        for name, inside in programs(manifest(home)).items():
            link = place / name
            if not link.is_symlink() and not link.exists() and (home / inside).exists():
                link.symlink_to(os.path.relpath(home / inside, place))


def programs(values: dict[str, object]) -> dict[str, str]:
    """Name and file of each program that a package.json names; nothing outside of the package, nothing with a path."""
    named = values.get("bin")
    found = {str(values.get("name", "")): named} if isinstance(named, str) else named
    if not isinstance(found, dict):
        return {}
    pairs = {str(k).rpartition("/")[2]: os.path.normpath(str(v)) for k, v in found.items()}
    return {k: v for k, v in pairs.items() if k and not v.startswith(("..", "/"))}


def _clear(directory: Path, inverse: Inverse | None) -> None:
    """Leave what this way back needs, and nothing else; None = there is none."""
    if inverse is None:
        shutil.rmtree(directory, ignore_errors=True)
        return
    needed = {RECORD, *(x.path.rpartition("/")[2] for x in inverse.archives)}
    for path in directory.iterdir():
        if path.name not in needed:
            path.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()
