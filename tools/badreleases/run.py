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
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from tools.badreleases.alone import heal_alone, heals_alone
from tools.badreleases.catalogue import BadRelease
from tools.badreleases.cell import Cell
from tools.badreleases.endpoints import KNOBS, Endpoint

from brakeline.launcher.model import Record
from brakeline.releases.build import Built, build_release, bundled
from brakeline.releases.zipapp import build

ENDPOINTS = 4  # a canary and its controls
HERMITS = 4  # machines without a server, at once
PATIENCE_S = 240.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one bad release. `runs_of_bad`: executions on the endpoint that had most of them.

    `heal_seconds_alone`: from its first execution to the good one running, without any server; None = one machine
    cannot see that it is bad.
    """

    name: str
    healed: bool
    heal_seconds: float
    runs_of_bad: int
    halted: bool
    halted_by: str
    host_deaths: int
    needed_a_hand: bool
    why: str
    heal_seconds_alone: float | None = None


@dataclass(frozen=True, slots=True)
class Alone:
    """What became of one bad release where there was no server."""

    name: str
    heal_seconds_alone: float | None
    why: str


@dataclass
class World:
    """A server, endpoints that run `seed`, and one as they were before their first boot (`template`)."""

    place: Path
    cell: Cell
    endpoints: list[Endpoint]
    seed: Built
    hermits: SimpleQueue[str]  # users for releases where there is no server
    number: int  # of the newest release

    @property
    def template(self) -> Path:
        return self.place / "template"


@contextlib.contextmanager
def world(
    say: Say, count: int = ENDPOINTS, hermits: int = 1, package: Path | None = None, knobs: Mapping[str, Any] = KNOBS
) -> Iterator[World]:
    """A server and `count` enrolled endpoints that run a good release (built of `package`) under launchers with these
    `knobs`, and room for `hermits`; gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix="brakeline-bad-releases-"))
    place.chmod(0o755)
    users = [f"bl-bad-{os.getpid() % 100_000}-{n}" for n in range(count + hermits)]
    cell, made = Cell(place), None
    try:
        cell.start()
        number = cell.shipped() + 1
        seed = build_release("agent", "1.0.0", number, package=package)
        made = World(place, cell, [], seed, SimpleQueue(), number)
        cell.publish(made.seed.bundle)
        for user in users:
            subprocess.run(["useradd", "--system", "--no-create-home", user], check=False, capture_output=True)
        for user in users[count:]:
            made.hermits.put(user)
        _settle(made, users[:count], knobs)
        say(f"{count} endpoints run {made.seed.release_id}")
        yield made
    finally:
        for one in made.endpoints if made else ():
            one.ended.set()
            one.die()
        for user in users:
            subprocess.run(["userdel", user], check=False, capture_output=True)
        cell.stop()
        shutil.rmtree(place, ignore_errors=True)


def _settle(made: World, users: Sequence[str], knobs: Mapping[str, Any]) -> None:
    """Enrol an endpoint for each user and boot it."""
    root = str(made.cell.ask("GET", "/releases/root")["root"])
    token = made.cell.token(len(users))
    for n, user in enumerate(users):
        one = Endpoint(f"e{n}", made.place / f"e{n}", user, knobs)
        made.endpoints.append(one)
        one.install(made.cell, root, made.seed, token)
        if not made.template.exists():
            shutil.copytree(one.base, made.template)
        one.keep(made.seed)
        one.remember(Record(generation=1, current=made.seed.release_id))
        one.boot()
        threading.Thread(target=one.watch, daemon=True).start()
    for one in made.endpoints:
        if not one.until(lambda one=one: one.report().running == made.seed.release_id, 60):  # type: ignore[misc]
            log = (one.base / "log").read_text()[-2000:]
            raise AssertionError(f"{one.name} does not run its first release: {log}")


def exercise(made: World, bad: BadRelease, say: Say) -> Outcome:
    """One bad release: on a fleet with a server, and on one machine without; at once, where it lets others live."""
    made.number += 1
    release = built(bad, made.number)
    with ThreadPoolExecutor(1) as pool:
        alone = None if bad.hungry else pool.submit(_alone, made, bad, release)
        outcome = let_loose(made.cell, made.endpoints, made.seed.release_id, bad, release, say)
        seconds, why = alone.result() if alone else _alone(made, bad, release)
    if why:
        return replace(outcome, healed=False, needed_a_hand=True, why=why)
    say(f"{'':<18} without a server: " + ("one machine cannot see it" if seconds is None else f"{seconds:.0f} s"))
    return replace(outcome, heal_seconds_alone=seconds)


def hermits(made: World, wanted: Sequence[BadRelease], say: Say) -> list[Alone]:
    """Each of them on one machine without a server only: several at once, those that let nothing live one by one."""

    def one(bad: BadRelease, number: int) -> Alone:
        seconds, why = _alone(made, bad, built(bad, number))
        say(f"{bad.name:<18} without a server: {why or seconds}")
        return Alone(bad.name, seconds, why)

    numbered = list(enumerate(wanted, made.number + 1))
    with ThreadPoolExecutor(HERMITS) as pool:
        found = list(pool.map(lambda x: one(x[1], x[0]), [x for x in numbered if not x[1].hungry]))
    found += [one(bad, number) for number, bad in numbered if bad.hungry]
    return found


def _alone(made: World, bad: BadRelease, release: Built) -> tuple[float | None, str]:
    """(seconds, "") or what went wrong."""
    if not heals_alone(bad):
        return None, ""
    user = made.hermits.get()
    try:
        base = made.place / f"alone-{bad.name}"
        return heal_alone(made.template, base, user, made.seed, bad, release), ""
    except TimeoutError as e:
        return None, str(e)
    finally:
        made.hermits.put(user)


def built(bad: BadRelease, number: int) -> Built:
    """The bad release as a bundle, with the real agent inside."""
    version = f"9.{number}.0+{bad.name}"
    files = {"agent.pyz": build(version=version), **bad.files}
    if bad.program:
        files["bad.py"] = bad.program.replace("@VERSION@", version).encode()
    return bundled("agent", version, number, files, bad.entry)


def let_loose(
    cell: Cell, endpoints: Sequence[Endpoint], good: str, bad: BadRelease, release: Built, say: Say
) -> Outcome:
    """One bad release, from publication until every endpoint is well again."""
    deaths = sum(e.deaths for e in endpoints)
    release_id = cell.publish(release.bundle)
    rollout_id = cell.promote(release_id)
    hit = _first(endpoints, lambda e: _touched(e, release_id, release.version))
    if hit is None:
        return Outcome(bad.name, False, 0.0, 0, False, "", 0, True, "no endpoint took it: " + _why(cell, rollout_id))
    began = time.monotonic()
    if bad.halts == "person":
        hit.until(lambda: hit.report().confirmed == release_id or _trial_runs(hit, release_id) > 0, PATIENCE_S)
        if hit.report().confirmed == release_id:  # else it has failed on probation, which the brake sees
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
