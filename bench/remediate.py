"""From an update in the repository to every endpoint proven, on the fleet in a box: how long, and what waits by rule.

A real cell, real endpoints of four package managers under systemd with agent and helper, real repositories in which a
newer version of one package each appears. Three moments: *known* (the cell has acknowledged an inventory that offers
it), *planned* (the first endpoint said ready with an exact transaction), *proven on all*. The rings are those of the
pace for a fleet of this size; the clock of baking and checkpoints is wound up, as in a rehearsal, because nobody can
wait 3 x 26 h here. So seconds are told in two kinds: those in which something waited by rule, and the rest, which is
ours. The rule's own hours are put beside them from the policy that people really get. What agent, helper and
transaction cost meanwhile is read from /proc (`_watch`). Needs root and what the fleet needs.
`--endpoints N --paces emergency,careful --json FILE`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from tests.system.box import Box, own_place
from tests.system.product import ENDED, Product
from tests.system.world import CHECK_IN_S, Server, wait_for
from tools.fleetbox.beside import Beside
from tools.fleetbox.repository import Built, Repository

from bench._proc import cpu_s, report, tree
from bench._watch import PARTS, Watch
from brakeline.cli.client import Client, read_context
from brakeline.protocol.messages import Settings
from brakeline.rollout.presets import policy_for

MANAGERS = ("apt", "dnf", "zypper", "pacman")
PACKAGE = "measured"
ENDPOINTS = 8
LOOK_S = 0.5  # how often the cell is asked: moments are known to within this
BAKE_S, CHECKPOINT_S = 20, 20  # of the wound-up clock
PATIENCE_S = 600.0  # for the server and for everybody's first inventory, beside whatever else the machine does
KNOWN_S, ROLL_S = 600.0, 1800.0
Rows = list[tuple[str, Any, str]]


@dataclass
class World:
    """The fleet, with version 1.0 everywhere."""

    box: Box
    server: Server
    product: Product
    client: Client
    managers: dict[str, str]
    ids: dict[str, str]
    apt: Repository
    others: Beside

    def publish(self, version: str) -> None:
        """A newer version in every repository; no endpoint is told."""
        self.apt.publish(built("apt", version))
        self.others.publish_rpm(built("dnf", version), built("zypper", version))
        self.others.publish_alpm(built("pacman", version))

    def offered(self, name: str) -> str:
        items = self.client.get(f"/endpoints/{self.ids[name]}/updates")
        wanted = f"{PACKAGE}-{self.managers[name]}"
        return next((str(u["candidate"]) for u in items if u["name"] == wanted), "").removesuffix("-1")


@dataclass
class Course:
    """One rollout as it was seen, in seconds since it was made. `first`: endpoint -> state -> when first seen."""

    first: dict[str, dict[str, float]] = field(default_factory=dict)
    ring: dict[str, str] = field(default_factory=dict)
    asking_s: float = 0.0  # the person's two commands, preview and start
    end_s: float = 0.0
    server_cpu_s: float = 0.0

    def seen(self, view: dict[str, Any], at_s: float) -> None:
        for member in view["members"]:
            name = member["hostname"]
            self.ring[name] = member["ring"]
            self.first.setdefault(name, {}).setdefault(member["state"], at_s)

    def when(self, name: str, *states: str) -> float:
        """When it was first seen in one of these, or in what comes after."""
        times = [t for s, t in self.first.get(name, {}).items() if s in states]
        return min(times, default=self.end_s)


OFFERED = ("offered", "started", "installed", "proven")
DONE = ("installed", "proven")


def built(manager: str, version: str) -> Built:
    return Built(f"{PACKAGE}-{manager}", version, files=((f"usr/share/{PACKAGE}-{manager}/data", version * 20_000),))


@contextmanager
def world(endpoints: int, say: Callable[[str], None]) -> Iterator[World]:
    """Enrolled endpoints of all managers in turn."""
    with tempfile.TemporaryDirectory(prefix="bl-remediate-") as folder:
        work = Path(folder)
        server, box = Server(work / "server" / "data", PATIENCE_S), Box(own_place("br"))
        (work / "server").mkdir()
        apt: Repository | None = None
        try:
            server.start()
            box.up(endpoints, ("eu", "us"), server.data, enrolled=False, managers=",".join(MANAGERS))
            say("endpoints are up")
            managers = box.managers()
            apt, others = Repository(box.place, work / "apt"), Beside(box.place, work / "beside")
            apt.publish(built("apt", "1.0"))
            others.publish_rpm(built("dnf", "1.0"), built("zypper", "1.0"))
            others.publish_alpm(built("pacman", "1.0"))

            install = first_version(managers, apt, others)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(install, managers))
            box.enrol(server.data)
            product = Product(server)
            ids = product.await_inventories(tuple(managers), PATIENCE_S)
            product.allow_patching("tag:fleet-in-a-box")
            say("enrolled, with their inventories")
            client = Client(read_context(server.data / "context.json"), PATIENCE_S)
            yield World(box, server, product, client, managers, ids, apt, others)
        finally:
            if apt is not None:
                apt.close()
            box.down()
            server.close()


def first_version(managers: dict[str, str], apt: Repository, others: Beside) -> Callable[[str], None]:
    """What puts version 1.0 on one endpoint, by its own manager."""

    def install(name: str) -> None:
        package = f"{PACKAGE}-{managers[name]}"
        if managers[name] == "apt":
            apt.introduce(name, f"{package}=1.0")
        else:
            others.install(name, managers[name], package)

    return install


# --- the three moments ---


def known(w: World, version: str) -> dict[str, float]:
    """Seconds from the repository's new index to an acknowledged inventory that offers it; each is asked to look."""
    began, found = time.monotonic(), dict[str, float]()
    for endpoint_id in w.ids.values():
        w.client.post(f"/endpoints/{endpoint_id}/scan")

    def everybody() -> bool:
        for name in w.ids:
            if name not in found and w.offered(name) == version:
                found[name] = time.monotonic() - began
        return len(found) == len(w.ids)

    wait_for("everybody to know of it", everybody, KNOWN_S, LOOK_S)
    return found


def wound_up(pace: str, size: int) -> dict[str, Any]:
    """The pace's own rings for a fleet of this size, on a clock of seconds."""
    rings = policy_for(size, pace).rings
    cut = [{"name": r.name, "bake_s": BAKE_S, **({"count": r.count} if r.count else {"share": r.share})} for r in rings]
    return {
        "rings": cut, "guard": {"holdout": 0.0}, "checkpoints_s": [CHECKPOINT_S * n for n in (1, 2, 3, 4)],
        "check_in_interval_s": CHECK_IN_S, "data_age_max_s": 60, "people_return_s": 60,
    }  # fmt: skip


def rolled(w: World, pace: str, work: Path) -> Course:
    """One deployment of everybody's package, looked at until it is completed."""
    course, before = Course(), cpu_s(tree(w.server.pid))
    names = [f"{PACKAGE}-{m}" for m in MANAGERS]
    asked = time.monotonic()
    rollout = w.product.deploy(work, wound_up(pace, len(w.ids)), *names, across=True)
    began = time.monotonic()
    course.asking_s = began - asked
    while True:
        view = w.client.get(f"/rollouts/{rollout}")
        course.seen(view, at_s := time.monotonic() - began)
        if view["state"] in ENDED:
            break
        if at_s > ROLL_S:
            raise SystemExit(f"after {at_s:.0f} s still {view['state']}: {view['lines']}")
        time.sleep(LOOK_S)
    if view["state"] != "completed":
        raise SystemExit(f"{view['state']}: {view['why']}")
    course.end_s = at_s
    course.server_cpu_s = cpu_s(tree(w.server.pid)) - before
    return course


# --- the figures ---


def of_course(pace: str, size: int, course: Course) -> Rows:
    """Each ring: from its opening to all of it installed, then until the next opens. The wait between is the rule's."""
    rings = list(dict.fromkeys(r.name for r in policy_for(size, pace).rings))
    members = {ring: [n for n, r in course.ring.items() if r == ring] for ring in rings}
    rows, opened, by_rule = Rows(), 0.0, 0.0
    for number, ring in enumerate(r for r in rings if members[r]):
        mine = members[ring]
        begun = min(course.when(n, *OFFERED) for n in mine)
        ended = max(course.when(n, *DONE) for n in mine)
        by_rule += min(max(0.0, begun - opened), BAKE_S) if number else 0.0
        rows.append((f"{pace}: ring {ring}: first offer to all installed, s", ended - begun, f"{len(mine)} endpoints"))
        opened = ended
    planned = min(course.when(n, *OFFERED) for n in course.ring)
    proven = max(course.when(n, "proven") for n in course.ring)
    real = policy_for(size, pace).rings
    return [
        (f"{pace}: a person's preview and start, s", course.asking_s, "two commands"),
        (f"{pace}: started to planned (the first is ready), s", planned, f"to within {LOOK_S} s"),
        *rows,
        (f"{pace}: last installed to proven on all, s", proven - opened, "the first healthy check-in"),
        (f"{pace}: started to proven on all, s", proven, "on the wound-up clock"),
        (f"{pace}: of that by rule, s", by_rule, f"bake of the rings before the last, {BAKE_S} s each"),
        (f"{pace}: of that ours, s", proven - by_rule, "plans, offers, package managers, results, looks"),
        (f"{pace}: by rule with the pace's own clock, h", sum(r.bake_s for r in real[:-1]) / 3600,
         f"{len(real)} rings, {real[0].bake_s / 3600:.2f} h each but the last"),
        (f"{pace}: CPU-s of the cell, all of it", course.server_cpu_s, "PostgreSQL included"),
    ]  # fmt: skip


def of_parts(watch: Watch, endpoints: dict[str, str], rollouts: int) -> Rows:
    """Peak memory of one process and CPU-seconds per endpoint and rollout, by manager."""
    rows = Rows()
    for manager in dict.fromkeys(endpoints.values()):
        count = sum(m == manager for m in endpoints.values())
        for part in PARTS:
            found = watch.parts.get((manager, part))
            if found is None or not found.cpu_s:
                continue
            rows.append((f"{manager}: {part}: peak PSS, MiB", found.peak_mib, f"{len(found.cpu_s)} processes"))
            cpu = watch.cpu_s(manager, part) / count / rollouts
            note = "with the manager that it runs" if part == "transaction" else ""
            rows.append((f"{manager}: {part}: CPU-s per endpoint and rollout", cpu, note))
    return rows


def slowest(w: World, found: dict[str, float]) -> str:
    """The median of each manager, for the note."""
    by = {m: [t for n, t in found.items() if w.managers[n] == m] for m in dict.fromkeys(w.managers.values())}
    return ", ".join(f"{m} {median(times):.1f}" for m, times in by.items())


def measure(endpoints: int, paces: list[str], say: Callable[[str], None]) -> Rows:
    rows = Rows()
    with world(endpoints, say) as w, tempfile.TemporaryDirectory() as folder, Watch(w.box.place, w.managers) as watch:
        for number, pace in enumerate(paces, start=2):
            version = f"{number}.0"
            w.publish(version)
            found = known(w, version)
            say(f"{pace}: known everywhere after {max(found.values()):.1f} s: {found}")
            course = rolled(w, pace, Path(folder))
            say(f"{pace}: {json.dumps(course.first)}")
            rows.append((f"{pace}: published to known on the first, s", min(found.values()), "each was asked to look"))
            rows.append((f"{pace}: published to known on all, s", max(found.values()), slowest(w, found)))
            rows += of_course(pace, endpoints, course)
        hours = Settings().refresh_interval_s / 3600
        rows.append(("by rule: a look at the repositories where nobody asks, h", hours, "at most"))
        rows += of_parts(watch, w.managers, len(paces))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=ENDPOINTS)
    parser.add_argument("--paces", default="emergency,careful")
    parser.add_argument("--json", default="")
    options = parser.parse_args()
    report(measure(options.endpoints, options.paces.split(","), lambda text: print(text, file=sys.stderr)), sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
