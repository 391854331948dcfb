"""Stores the way back before a transaction begins: the inverse, and a copy of each former package's archive.

`DIR/<transaction id>/` appears complete (flushed, then renamed) or not at all. An archive is believed by its SHA-256
alone: the one that the endpoint's configured repositories have signed for that version, now, or when this version was
installed from them (`known.json`). Bounded: KEPT_BYTES_MAX in all, the oldest goes first. Next: `undo` uses it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from brakeline.agent.files import flush_directory, write_durably
from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.disk import ARCHIVES, archive_name
from brakeline.agent.providers.apt.inverse import inverse_of, joined
from brakeline.agent.providers.apt.queries import Queries, Records, apt_name
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.model import Archive, Inverse, Order
from brakeline.protocol import codec
from brakeline.protocol.messages import Action, WayBack

DIRECTORY: Final = "/var/lib/brakeline-helper/back"
KEPT_BYTES_MAX: Final = 512 * 1024 * 1024  # of all former archives together: some 30 updates of a server
KEPT_MAX: Final = 50  # ways back; the oldest goes first
KNOWN_VERSIONS: Final = 2  # whose hashes are remembered, per package: the one that is installed and the one before
FETCH_S_MAX: Final = 600.0
PIECE: Final = 1024 * 1024

Known = dict[str, dict[str, str]]  # "name:architecture" -> version -> SHA-256


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

    def keep(self, order: Order, automatic: frozenset[str], now_ms: int, log: Callable[[str], None],
             left_s: float, vouched: Records) -> WayBack:  # fmt: skip
        """Store the inverse of what is about to be done. Never stands in the way of the update itself.

        `vouched`: what the repositories say of the archives that come.
        """
        if order.inverse is not None:
            return WayBack(False, code="is_way_back", reason="This is itself the way back from an update.")
        known = self._known()
        try:
            kept = self._store(order, known, automatic, now_ms, left_s)
        except _No as no:
            kept = WayBack(False, code=no.code, reason=no.reason)
        except OSError as e:
            kept = WayBack(False, code="no_space", reason=f"The way back could not be stored: {e.strerror}.")
        self._learn(order, known, vouched)
        log(kept.told[0].upper() + kept.told[1:])
        return kept

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

    def drop(self, transaction_id: str) -> None:
        """Without it from now on."""
        shutil.rmtree(self._path(transaction_id), ignore_errors=True)

    def damaged(self, inverse: Inverse) -> str:
        """The first archive that is not what was stored; "" = all are."""
        bad = (x for x in inverse.archives if _sha256(self.runner.path(x.path)) != x.sha256)
        return next((f"{x.name} {x.version}" for x in bad), "")

    def lay_ready(self, inverse: Inverse) -> None:
        """Into apt's cache: a version that a repository lists, too, apt takes from there, and that may be away."""
        for x in inverse.archives:
            place = self.runner.path(f"{ARCHIVES}/{archive_name(x.name, x.version, x.architecture)}")
            aside = place.with_name(place.name + ".brakeline")
            shutil.copyfile(self.runner.path(x.path), aside)
            os.replace(aside, place)

    # --- storing ---

    def _store(self, order: Order, known: Known, automatic: frozenset[str], now_ms: int, left_s: float) -> WayBack:
        wanted = tuple(a for a in order.transaction.actions if a.before)
        expected, sizes = self._expected(wanted, known)
        self._make_room(sum(sizes.values()))
        aside = self._path("new")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True, mode=0o700)
        try:
            self._collect(wanted, expected, aside, min(left_s, FETCH_S_MAX))
            place = f"{self.directory}/{order.transaction_id}"
            archives = tuple(
                Archive(a.name, a.architecture, a.before, f"{place}/{_file(a)}", expected[a]) for a in wanted
            )
            again = tuple(sorted(a.name for a in wanted if not a.after and a.name in automatic))
            inverse = Inverse(
                order.transaction_id, order.rollout_id, inverse_of(order.transaction), archives, again, now_ms
            )  # fmt: skip
            inverse = self._with_earlier(inverse, aside)
            write_durably(aside / "inverse.json", codec.encode(inverse))
            self.drop(order.transaction_id)
            os.rename(aside, self._path(order.transaction_id))
            flush_directory(self._path(""))
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return WayBack(True, len(inverse.transaction.actions))

    def _with_earlier(self, inverse: Inverse, aside: Path) -> Inverse:
        """The way back of this rollout's earlier, interrupted try goes on in this one."""
        earlier = self.of_rollout(inverse.rollout_id)
        if earlier is None or self.damaged(earlier):
            return inverse
        whole = joined(inverse, earlier, f"{self.directory}/{inverse.transaction_id}")
        for new in set(whole.archives) - set(inverse.archives):
            old = next(x for x in earlier.archives if x.sha256 == new.sha256)
            shutil.copyfile(self.runner.path(old.path), aside / Path(new.path).name)
            _flush(aside / Path(new.path).name)
        return whole

    def _expected(self, wanted: tuple[Action, ...], known: Known) -> tuple[dict[Action, str], dict[Action, int]]:
        """SHA-256 and size of each former archive; `_No` where nobody has vouched for it."""
        named = [f"{_argument(a)}={a.before}" for a in wanted]
        records: Records = Queries(self.runner).records(named) if named else {}
        expected, sizes, gone = {}, {}, []
        for a in wanted:
            record = records.get((a.name, a.before), {})
            sha256 = record.get("sha256") or known.get(f"{a.name}:{a.architecture}", {}).get(a.before, "")
            if not sha256:
                gone.append(a)
                continue
            expected[a] = sha256
            sizes[a] = int(record.get("size") or _size(self.runner.path(f"{ARCHIVES}/{_file(a)}")))
        if gone:
            cached = any(_size(self.runner.path(f"{ARCHIVES}/{_file(a)}")) for a in gone)
            names = rules.named(f"{a.name} {a.before}" for a in gone)
            if cached:
                raise _No("unknown_origin", f"No configured repository ever vouched here for the archive of {names}.")
            raise _No("gone", f"{names} cannot be had any more from this endpoint's repositories.")
        return expected, sizes

    def _collect(self, wanted: tuple[Action, ...], expected: Mapping[Action, str], aside: Path, left_s: float) -> None:
        missing = [a for a in wanted if not self._copied(a, expected[a], aside)]
        if missing:
            inside = f"{self.directory}/new"
            had = self._to_be_had(missing)
            names = [f"{_argument(a)}={a.before}" for a in missing if a in had]
            if names:
                self.runner.job("env", "-C", inside, "apt-get", "-q", "download", *names, timeout_s=left_s)
            short = [a for a in missing if _sha256(aside / _file(a)) != expected[a]]
            if short:
                text = rules.named(f"{a.name} {a.before}" for a in short)
                if all(a in had for a in short):
                    raise _No("fetch_failed", f"{text} could not be fetched from the repositories.")
                raise _No("gone", f"{text} cannot be had any more, from repositories or download cache.")
        for a in wanted:
            _flush(aside / _file(a))

    def _copied(self, a: Action, sha256: str, aside: Path) -> bool:
        """From apt's download cache, if that has exactly the archive."""
        try:
            shutil.copyfile(self.runner.path(f"{ARCHIVES}/{_file(a)}"), aside / _file(a))
        except FileNotFoundError:
            return False
        if _sha256(aside / _file(a)) == sha256:
            return True
        (aside / _file(a)).unlink()
        return False

    def _to_be_had(self, actions: list[Action]) -> frozenset[Action]:
        queries = Queries(self.runner)
        native = queries.native()
        policies = queries.policies(apt_name(a.name, a.architecture, native) for a in actions)
        found = set()
        for a in actions:
            policy = policies.get(apt_name(a.name, a.architecture, native))
            entry = policy.entry(a.before) if policy else None
            if entry is not None and entry.sources:
                found.add(a)
        return frozenset(found)

    def _make_room(self, needed: int) -> None:
        """Forget the oldest ways back until this one fits."""
        if needed > self.bytes_max:
            mib = 1024 * 1024
            raise _No("too_large", f"The former packages have {needed // mib} MiB; {self.bytes_max // mib} are kept.")
        kept = sorted(self._ids(), key=lambda i: getattr(self.of_transaction(i), "made_ms", 0))
        sizes = {i: _tree_bytes(self._path(i)) for i in kept}
        while kept and (len(kept) >= KEPT_MAX or sum(sizes[i] for i in kept) + needed > self.bytes_max):
            self.drop(kept.pop(0))

    # --- what is known of archives ---

    def _known(self) -> Known:
        try:
            return codec.decode(Known, self._path("known.json").read_bytes())
        except (OSError, codec.Malformed, UnicodeDecodeError):
            return {}

    def _learn(self, order: Order, known: Known, records: Records) -> None:
        """Remember what the repositories vouch for now: once installed, they may drop it any day."""
        for a in (a for a in order.transaction.actions if a.after):
            sha256 = records.get((a.name, a.after), {}).get("sha256", "")
            if sha256:
                versions = known.setdefault(f"{a.name}:{a.architecture}", {})
                versions.pop(a.after, None)
                versions[a.after] = sha256
                for old in list(versions)[:-KNOWN_VERSIONS]:
                    del versions[old]
        try:
            self._path("").mkdir(parents=True, exist_ok=True, mode=0o700)
            write_durably(self._path("known.json"), codec.encode(known))
        except OSError:
            return  # without it there is one way back less some day; the update itself goes on

    # --- small ones ---

    def _ids(self) -> tuple[str, ...]:
        try:
            return tuple(sorted(p.name for p in self._path("").iterdir() if p.name.startswith("tx_")))
        except OSError:
            return ()

    def _path(self, name: str) -> Path:
        return self.runner.path(f"{self.directory}/{name}" if name else self.directory)


def _argument(a: Action) -> str:
    return a.name if a.architecture == "all" else f"{a.name}:{a.architecture}"


def _file(a: Action) -> str:
    return archive_name(a.name, a.before, a.architecture)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _tree_bytes(directory: Path) -> int:
    return sum(_size(p) for p in directory.iterdir()) if directory.is_dir() else 0


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as f:
            while piece := f.read(PIECE):
                digest.update(piece)
    except OSError:
        return ""
    return digest.hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
