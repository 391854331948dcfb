"""Lets each bad release loose on real endpoints, waits until they have come back, and says how long that took.

For each: publish, promote at rehearsal pace, and from there nobody touches an endpoint. Healed = every endpoint runs
the good release again and says so to the cell. Where nothing that a release does can be seen from outside, a person
presses the brake (`halts` in the catalogue), which is said in the result.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.badreleases.catalogue import BadRelease
from tools.badreleases.cell import Cell
from tools.badreleases.endpoints import Endpoint

from brakeline.releases.build import Built, build_release, bundled
from brakeline.releases.zipapp import build

ENDPOINTS = 4  # a canary and its controls
PATIENCE_S = 240.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one bad release. `runs_of_bad`: executions on the endpoint that had most of them."""

    name: str
    healed: bool
    heal_seconds: float
    runs_of_bad: int
    halted: bool
    halted_by: str
    host_deaths: int
    needed_a_hand: bool
    why: str


@contextlib.contextmanager
def world(
    say: Say, count: int = ENDPOINTS, package: Path | None = None
) -> Iterator[tuple[Cell, list[Endpoint], Built]]:
    """A server and `count` enrolled endpoints that run a good release (built of `package`); gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix="brakeline-bad-releases-"))
    place.chmod(0o755)
    cell, made = Cell(place), list[Endpoint]()
    try:
        cell.start()
        seed = build_release("agent", "1.0.0", 1, package=package)
        cell.publish(seed.bundle)
        root = str(cell.ask("GET", "/releases/root")["root"])
        token = cell.token(count)
        for n in range(count):
            user = f"bl-bad-{os.getpid() % 100_000}-{n}"
            subprocess.run(["useradd", "--system", "--no-create-home", user], check=False, capture_output=True)
            one = Endpoint(f"e{n}", place / f"e{n}", user)
            made.append(one)
            one.install(cell, root, seed, token)
            one.boot()
            threading.Thread(target=one.watch, daemon=True).start()
        for one in made:
            if not one.until(lambda one=one: one.report().running == seed.release_id, 60):  # type: ignore[misc]
                raise AssertionError(
                    f"{one.name} does not run its first release: {(one.base / 'log').read_text()[-2000:]}"
                )
        say(f"{count} endpoints run {seed.release_id}")
        yield cell, made, seed
    finally:
        for one in made:
            one.ended.set()
            one.die()
            subprocess.run(["userdel", one.user], check=False, capture_output=True)
        cell.stop()
        shutil.rmtree(place, ignore_errors=True)


def built(bad: BadRelease, number: int) -> Built:
    """The bad release as a bundle, with the real agent inside."""
    version = f"9.{number}.0+{bad.name}"
    files = {"agent.pyz": build(version=version), **bad.files}
    if bad.program:
        files["bad.py"] = bad.program.replace("@VERSION@", version).encode()
    return bundled("agent", version, number, files, bad.entry)


def let_loose(cell: Cell, endpoints: Sequence[Endpoint], good: str, bad: BadRelease, number: int, say: Say) -> Outcome:
    """One bad release, from publication until every endpoint is well again."""
    release = built(bad, number)
    deaths = sum(e.deaths for e in endpoints)
    release_id = cell.publish(release.bundle)
    rollout_id = cell.promote(release_id)
    hit = _first(endpoints, lambda e: _touched(e, release_id, release.version))
    if hit is None:
        return Outcome(bad.name, False, 0.0, 0, False, "", 0, True, "no endpoint took it: " + _why(cell, rollout_id))
    began = time.monotonic()
    if bad.halts == "person":
        hit.until(lambda: hit.report().confirmed == release_id, PATIENCE_S)
        cell.ask("POST", f"/rollouts/{rollout_id}/brake")
    halted = hit.until(lambda: cell.rollout(rollout_id)["state"] == "halted", PATIENCE_S)
    well = all(e.until(lambda e=e: _well(e, good), PATIENCE_S) for e in endpoints)  # type: ignore[misc]
    seconds, since_ms = time.monotonic() - began, time.time_ns() // 1_000_000
    well = well and endpoints[0].until(lambda: _all_heard(cell, len(endpoints), since_ms), PATIENCE_S)
    runs = max(max(e.runs(release.version), _trial_runs(e, release_id)) for e in endpoints)
    worked = any((e.base / "home/pardon-worked").exists() for e in endpoints)
    outcome = Outcome(
        bad.name, halted and well and not worked, round(seconds, 1), runs, halted, bad.halts,
        sum(e.deaths for e in endpoints) - deaths, not well, _why(cell, rollout_id),
    )  # fmt: skip
    say(f"{bad.name:<18} healed={outcome.healed} in {seconds:.0f} s, executed {runs} times; {outcome.why[:150]}")
    return outcome


def _first(endpoints: Sequence[Endpoint], true: Callable[[Endpoint], bool]) -> Endpoint | None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for one in endpoints:
            if true(one):
                return one
        time.sleep(0.05)
    return None


def _touched(e: Endpoint, release_id: str, version: str) -> bool:
    return e.report().trial == release_id or e.runs(version) > 0 or _trial_runs(e, release_id) > 0


def _trial_runs(e: Endpoint, release_id: str) -> int:
    end = e.report().last_trial
    return end.runs if end is not None and end.release_id == release_id else 0


def _well(e: Endpoint, good: str) -> bool:
    report = e.report()
    return report.running == good and not report.trial


def _all_heard(cell: Cell, count: int, since_ms: int) -> bool:
    """Whether the cell has heard every endpoint since then, and accepts it as the one that it was."""
    items = cell.ask("GET", "/endpoints")["items"]
    return sum(e["state"] == "active" and e["last_seen_ms"] > since_ms for e in items) == count


def _why(cell: Cell, rollout_id: str) -> str:
    seen = cell.rollout(rollout_id)
    return f"{seen['state']}: {seen.get('why', '')}"
