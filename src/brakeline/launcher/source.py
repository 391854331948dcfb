"""The look itself, in a process of its own: ask the cell, verify, download what is offered, install it. Then say so.

Run by the launcher as `check`, killed by it after `check_s`; so nothing that a network or a server does can hold the
launcher up, and the resident process never loads TLS. Needs no identity: everything asked for is public and signed.
Of what is the agent's, only the order `follow.json` is read, and it is verified like anything else. What was verified
is said before anything is downloaded, so that no download keeps a recall from being heard. Next: `cell`, `download`.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from brakeline.launcher import cell, clock, download, install
from brakeline.launcher.cell import Unreachable
from brakeline.launcher.disk import BINARY, Disk, RealDisk, replace_file
from brakeline.launcher.model import Found, Question, Record, Staged
from brakeline.launcher.records import Records
from brakeline.launcher.settings import Settings
from brakeline.protocol import proxy
from brakeline.trust import wire
from brakeline.trust.assess import assess
from brakeline.trust.errors import Distrust
from brakeline.trust.model import Assessment, ClockReading, Documents, Floors, Offered

CACHE = "tuf/documents.json"
TIME_PART = 0.9  # of what a look has: the rest is for keeping and saying what it came to


def look(settings: Settings, disk: Disk, record: Record, damaged: Sequence[str], timeout_s: float,
         settled: Collection[str] = (), tell: Callable[[Found], None] = lambda _: None) -> Found:  # fmt: skip
    """One look. Never raises for what the network, the server or the documents do.

    `settled`: releases that need no staging, because they are in use already or have failed here. `tell` hears what was
    verified, before the first download.
    """
    problems: list[str] = []
    settings = replace(settings, proxy=_proxy(settings.etc / proxy.FILE, problems))
    until_s = clock.monotonic_s() + timeout_s
    pinned, cached, nonce = _read(settings.etc / "root.json"), _cached(disk), clock.nonce()
    follow = _from_home(settings.home / "follow.json")
    fetched: Documents | None
    try:
        channel = _channel(settings, pinned, cached, follow, record.floors)
        fetched, way = cell.documents(settings, nonce, _newest_root(pinned, cached), channel, timeout_s)
        settings = replace(settings, way=way)  # the release then comes the same way
    except (Unreachable, Distrust) as e:
        problems.append(f"unreachable: {e}")
        fetched = None
    fetched = replace(fetched or Documents(), follow=follow)
    seen = assess(pinned, cached, fetched, settings.who, ClockReading(clock.wall_ms(), nonce), record.floors)
    problems += [f"{p.code}: {p.text}" for p in seen.problems]
    problems += _remember(disk, seen.documents, cached)
    problems += [
        f"quarantined: {o.release_id} is offered again; it has failed here and is not run" for o in _offers(seen)
        if o.release_id in record.quarantined
    ]  # fmt: skip
    wants = _wanted(seen, record, damaged, settled)
    if seen.fresh:
        useful = [o for o in seen.known if o.release_id not in record.quarantined]
        with contextlib.suppress(OSError):
            download.forget(disk, download.worth_keeping(useful, wants))
    staged: dict[str, Offered] = {}
    told = unfinished = False
    for wanted in wants:
        try:
            if install.verify(disk, wanted.release_id):
                if not told:
                    tell(Found(seen.fresh, seen.floors, _sorted(seen.recalled), _sorted(seen.pardoned),
                               problems=tuple(problems), way=settings.way))  # fmt: skip
                told = True
                _install(settings, disk, wanted, until_s)
            disk.sync_dir(
                install.VERSIONS
            )  # an earlier install may have failed at just this: it is whole, not yet durable
            if wanted == seen.offered or wanted in seen.also:
                staged[wanted.product] = wanted
        except (Distrust, Unreachable, OSError, download.Unfinished) as e:
            unfinished = unfinished or isinstance(e, download.Unfinished)
            reason = e.reason if isinstance(e, Distrust) else "download"
            problems.append(f"{reason}: {wanted.release_id}: {e.text if isinstance(e, Distrust) else e}")
    mended = tuple(r for r in damaged if not install.verify(disk, r))
    ours = staged.pop(settings.who.product, None)
    others = tuple(Staged(o.product, o.release_id, o.sequence) for o in staged.values())
    return Found(
        seen.fresh, seen.floors, _sorted(seen.recalled), _sorted(seen.pardoned), ours.release_id if ours else "",
        ours.sequence if ours else 0, tuple(problems), mended, others, unfinished, settings.way,
    )  # fmt: skip


def _sorted(ids: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(ids))


def _install(settings: Settings, disk: Disk, wanted: Offered, until_s: float) -> None:
    """Fetch it and put it into versions/. Wrong bytes are thrown away; right ones wait for a disk that takes them."""
    data = download.bundle(settings, disk, wanted, until_s)
    try:
        install.install(disk, data, wanted, settings.who.platform)
    except Distrust as e:
        if e.reason != "no_space":
            download.drop(disk, wanted)
        raise
    download.drop(disk, wanted)


def check(settings: Settings, question: str) -> int:
    """One look; its `Found` as a JSON line, the last one counts. `question`: a `Question` in JSON."""
    disk = RealDisk(settings.root)
    record, _ = Records(disk).load()
    plain: dict[str, Any] = json.loads(question)
    asked = Question(
        tuple(plain.get("damaged", ())), bool(plain.get("launchers")), tuple(plain.get("settled", ())),
        int(plain.get("sequence", 0)), float(plain.get("until_s", 0.0)), str(plain.get("way", "")),
    )  # fmt: skip
    also = tuple(p for p in settings.who.also if p != "launcher" or asked.launchers)
    settings = replace(settings, who=replace(settings.who, also=also), way=asked.way)
    floors = replace(record.floors, launcher_sequence=max(record.floors.launcher_sequence, asked.sequence))
    record = replace(record, floors=floors)
    left_s = time_s(asked.until_s, settings.knobs.check_s, clock.monotonic_s())
    _say(look(settings, disk, record, asked.damaged, left_s, asked.settled, _say))
    return 0


def time_s(until_s: float, check_s: float, now: float) -> float:
    """How long a look may take that is cut off at `until_s` (0 = not told): it had begun before this program had."""
    left_s = until_s - now if until_s else check_s
    return TIME_PART * max(0.0, min(left_s, check_s))


def _say(found: Found) -> None:
    print(json.dumps(asdict(found)), flush=True)


def _offers(seen: Assessment) -> list[Offered]:
    return [o for o in (seen.offered, *seen.also) if o is not None]


def _wanted(seen: Assessment, record: Record, damaged: Sequence[str], settled: Collection[str]) -> list[Offered]:
    """What is offered now, and signed releases of our own record whose files are damaged."""
    forbidden = {*record.quarantined, *settled}
    offered = [o for o in _offers(seen) if o.release_id not in forbidden]
    mending = [o for o in seen.known if o.release_id in record.kept and o.release_id in set(damaged)]
    return [o for o in offered if o.release_id not in (record.current, record.content)] + mending


def _channel(settings: Settings, pinned: str, cached: Documents, follow: str, floors: Floors) -> str:
    """Which stream to ask for: what a genuine order says. The agent brings orders, and a forged one must not lead the
    look to where nothing is told."""
    known = Documents(roots=cached.roots, follow=cached.follow)
    seen = assess(pinned, known, Documents(follow=follow), settings.who, ClockReading(clock.wall_ms()), floors)
    return seen.follow.channel or settings.who.channel


def _newest_root(pinned: str, cached: Documents) -> int:
    """Version of the newest root that is here: the pinned one's, and one more for each successor that was verified."""
    try:
        return int(json.loads(pinned)["signed"]["version"]) + len(cached.roots)
    except (ValueError, KeyError, TypeError):
        return 1


# --- files ---------------------------------------------------------------------------------------------------------


def _read(path: Path) -> str:
    try:
        return path.read_text()[: wire.TEXT_BYTES_MAX]
    except (OSError, ValueError):
        return ""


def _proxy(path: Path, problems: list[str]) -> proxy.Proxy | None:
    """One that makes no sense keeps nobody from looking: it is said, and left out."""
    try:
        return proxy.read(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, proxy.BadProxy) as e:
        problems.append(f"settings: {path.name} cannot be used, the cell is dialled directly: {e}")
        return None


def _from_home(path: Path) -> str:
    """A plain file of the agent's, "" without one. It may be hostile: a pipe that nobody writes to would hold up every
    look, and with it every recall; a link would show it, in a problem's words, the beginning of a file of root's."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0) | BINARY)
        with os.fdopen(handle, "rb") as file:
            data = file.read(wire.TEXT_BYTES_MAX) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
        return data.decode(errors="replace")
    except OSError:
        return ""


def _cached(disk: Disk) -> Documents:
    try:
        return wire.from_text(disk.read(CACHE).decode())
    except (OSError, ValueError, Distrust):
        return Documents()


def _remember(disk: Disk, documents: Documents, cached: Documents) -> list[str]:
    """The verified documents, in one file, replaced whole; a torn one costs only the next look's bytes."""
    if documents == cached:
        return []
    try:
        disk.mkdir("tuf")
        replace_file(disk, CACHE, wire.to_text(documents).encode())
    except OSError as e:
        return [f"disk: trusted metadata cannot be kept: {e.strerror}"]
    return []
