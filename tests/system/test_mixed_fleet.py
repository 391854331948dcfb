"""Endpoints of four package managers in one fleet: enrolled, patched by one deployment, and saved from bad updates.

*Real manager, synthetic distribution*: dnf, zypper and pacman as Debian 12 has them manage the `/` of their endpoints,
which have packages built here and no others. Each package brings a real service, which systemd really runs. What an
endpoint has is read from its own package manager, never from the server.
"""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.system.box import Box
from tests.system.product import ENDED, STOPPED, Product, short_policy
from tests.system.world import Server, wait_for
from tools.fleetbox import beside
from tools.fleetbox.beside import Beside
from tools.fleetbox.repository import Built, Repository

pytestmark = pytest.mark.long

DEALT = ("apt", "dnf", "zypper", "pacman")
COUNT = 12
SERVICE = "demo-service"
ROLL_S, STOP_S = 420.0, 240.0
ECOSYSTEM = {"apt": "deb", "dnf": "rpm", "zypper": "rpm", "pacman": "alpm"}
RUNS, ENDS = "exec sleep infinity\n", "exit 3\n"
SLOW_S = 6  # of a script, so that a power cut comes in the middle of it
FINAL = ("installed", "proven", "failed", "interrupted", "unhealthy", "refused", "expired")
UNIT = "[Unit]\nDescription=demonstration\n[Service]\nExecStart=/bin/sh /usr/share/{name}/run\n" \
       "[Install]\nWantedBy=multi-user.target\n"  # fmt: skip


def service(name: str, version: str, runs: str = RUNS, slow_s: int = 0) -> Built:
    """A package whose service is restarted by its script, as services of distributions are."""
    script = "\n".join(f"systemctl {do}" for do in ("daemon-reload", f"-q enable {name}", f"restart {name} || true"))
    script += f"\nsleep {slow_s}" if slow_s else ""
    files = ((f"usr/lib/systemd/system/{name}.service", UNIT.format(name=name)), (f"usr/share/{name}/run", runs))
    return Built(name, version, script, files)


@dataclass(frozen=True, slots=True)
class World:
    """Twelve enrolled endpoints, three of each manager. A manager's package has its name: `demo-service-dnf`."""

    box: Box
    product: Product
    ids: dict[str, str]
    work: Path
    managers: dict[str, str]
    apt: Repository
    beside: Beside

    def of(self, manager: str) -> tuple[str, ...]:
        return tuple(name for name, m in self.managers.items() if m == manager)

    def package(self, name: str) -> str:
        return f"{SERVICE}-{self.managers[name]}"

    def publish(self, version: str, runs: str = RUNS, managers: tuple[str, ...] = DEALT, slow_s: int = 0) -> None:
        """A newer version for these managers, of which every endpoint then knows."""
        for manager in managers:
            built = service(f"{SERVICE}-{manager}", version, runs, slow_s)
            if manager == "apt":
                self.apt.publish(built)
            elif manager == "pacman":
                self.beside.publish_alpm(built)
            else:
                self.beside.publish_rpm(built)
        self.refreshed(version, managers)

    def refreshed(self, version: str, managers: tuple[str, ...] = DEALT) -> None:
        concerned = [name for name in self.ids if self.managers[name] in managers]
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(self._refresh, concerned))
        wait_for("every endpoint to know of it", lambda: not self._ignorant(concerned, version), STOP_S, 2.0)

    def _refresh(self, name: str) -> None:
        manager = self.managers[name]
        if manager == "apt":
            self.apt.refresh(name)
        else:
            self.beside.refresh(name, manager)
        self.product.server.cli("endpoint", "scan", self.ids[name])

    def _ignorant(self, concerned: list[str], version: str) -> list[str]:
        return [name for name in concerned if not self.offered(name).startswith(version)]

    def offered(self, name: str) -> str:
        items = self.product.server.cli("endpoint", "updates", self.ids[name])["items"]
        return next((str(u["candidate"]) for u in items if u["name"] == self.package(name)), "")

    def has(self, name: str) -> str:
        """What the endpoint's own manager has recorded, without the release that packagers add."""
        found = beside.version(self.box.place, name, self.managers[name], self.package(name))
        return found.removesuffix("-1")

    def active(self, name: str) -> bool:
        return self.box.execute(name, f"systemctl is-active {self.package(name)}").stdout.strip() == "active"

    def versions(self) -> dict[str, str]:
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(self.ids, pool.map(self.has, self.ids), strict=True))


@pytest.fixture(scope="module")
def world(server: Server, box: Box, work: Path) -> World:
    box.up(COUNT, ("eu", "us"), server.data, enrolled=False, managers=",".join(DEALT))
    managers = box.managers()
    apt, others = Repository(box.place, work / "repository"), Beside(box.place, work / "beside")
    apt.publish(service(f"{SERVICE}-apt", "1.0"))
    others.publish_rpm(service(f"{SERVICE}-dnf", "1.0"), service(f"{SERVICE}-zypper", "1.0"))
    others.publish_alpm(service(f"{SERVICE}-pacman", "1.0"))
    apt.close()

    def install(name: str) -> None:
        package = f"{SERVICE}-{managers[name]}"
        if managers[name] == "apt":
            apt.introduce(name, f"{package}=1.0")
        else:
            others.install(name, managers[name], package)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(install, managers))
    box.enrol(server.data)
    product = Product(server)
    ids = product.await_inventories(tuple(managers))
    product.allow_patching("tag:fleet-in-a-box")
    return World(box, product, ids, work, managers, apt, others)


def everywhere(world: World, managers: tuple[str, ...] = DEALT) -> list[str]:
    return [f"{SERVICE}-{m}" for m in managers]


def policy(first: int) -> dict[str, Any]:
    """So many endpoints, then twice as many, then all."""
    made = short_policy(bake_s=10, first_checkpoint_s=20)
    made["rings"][0]["count"], made["rings"][1]["count"] = first, first * 2
    return made


def test_an_endpoint_says_which_manager_it_has_and_what_of(world: World) -> None:
    for name, manager in world.managers.items():
        shown = world.product.show(world.ids[name])
        assert shown["facts"]["package_manager"] == manager
        assert shown["health"]["healthy"], shown["health"]
        items = world.product.server.cli("endpoint", "packages", world.ids[name])["items"]
        mine = next(p for p in items if p["name"] == world.package(name))
        assert (mine["ecosystem"], mine["state"].strip()) == (ECOSYSTEM[manager], "ii")
        assert mine["origin"]
        assert not [p for p in items if manager != "apt" and p["name"] == "dpkg"], "Debian's own packages are not its"


def test_one_deployment_patches_all_of_them_ring_by_ring(world: World) -> None:
    world.publish("1.1")
    rollout = world.product.deploy(world.work, policy(3), *everywhere(world), across=True)
    view = world.product.await_state(rollout, ENDED, ROLL_S)
    assert view["state"] == "completed", view["why"]
    assert world.versions() == dict.fromkeys(world.ids, "1.1")
    assert all(world.active(name) for name in world.ids)


@pytest.mark.parametrize("manager", DEALT)
def test_a_bad_update_is_stopped_in_its_first_ring_and_taken_back(world: World, manager: str) -> None:
    """Its package installs well; its service does not run any more."""
    product, mine = world.product, world.of(manager)
    before = {name: world.has(name) for name in mine}
    world.publish("2.0", ENDS, (manager,))
    rollout = product.deploy(world.work, policy(1), *everywhere(world, (manager,)), across=True)
    view = product.await_state(rollout, STOPPED, STOP_S)
    harmed = {name for name in mine if world.has(name) == "2.0"}
    assert len(harmed) == 1, view["why"]
    (victim,) = harmed
    assert not world.active(victim)
    assert set(view["spared"]) == set(mine) - harmed
    assert {name: world.has(name) for name in set(mine) - harmed} == {n: v for n, v in before.items() if n != victim}
    assert all(world.active(name) for name in set(mine) - harmed)
    assert world.ids[victim] in view["why"]
    _taken_back(world, rollout, victim, before[victim])


def _taken_back(world: World, rollout: str, victim: str, former: str) -> None:
    """The harmed endpoint has its former version again, and its service runs."""
    cli = world.product.server.cli
    cli("rollout", "brake", rollout)
    world.product.await_state(rollout, ("halted",), STOP_S)
    back = cli("rollout", "rollback", rollout, "--yes", "--pace", "rehearsal", "--start")["id"]
    wait_for("its way back", lambda: world.has(victim) == former and world.active(victim), ROLL_S, 1.0)
    for done in (back, rollout):  # until then its endpoints are in no other rollout
        if world.product.rollout(done)["state"] != "completed":
            cli("rollout", "withdraw", done, "--reason", "it was a bad update")


def test_power_cuts_in_each_ring_are_healed_or_truthfully_told(world: World) -> None:
    """One endpoint of each ring loses its power in the middle of its transaction."""
    box, product, cut = world.box, world.product, list[str]()
    world.publish("3.0", slow_s=SLOW_S)
    rollout = product.deploy(world.work, policy(3), *everywhere(world), across=True)
    for _ in range(3):  # rings
        victim = wait_for("a transaction in this ring", lambda: _in_the_middle(world, cut), ROLL_S, 0.2)
        boot = box.boot_id(victim)
        box.power_cut(victim)
        box.start(victim)
        assert box.boot_id(victim) != boot
        cut.append(victim)
        done = wait_for("the ring to go on, or to say why not", lambda: _goes_on(world, rollout, cut), ROLL_S, 1.0)
        if done["state"] in STOPPED:  # a person has looked: what was cut short is mended, or named
            assert any(world.ids[name] in done["why"] or name in done["why"] for name in cut), done["why"]
            break
    for name in world.ids:
        wait_for(f"{name} to be told truly", lambda name=name: _true(world, name), STOP_S, 2.0)
    members = {m["hostname"]: m for m in product.rollout(rollout)["members"]}
    for name in cut:
        healed = world.has(name) == "3.0" and world.active(name)
        assert healed or members[name]["note"], members[name]


def _in_the_middle(world: World, but: list[str]) -> str:
    """An endpoint whose package manager changes something at this moment, chosen at random."""
    look = (
        "for t in /var/lib/brakeline-helper/tx/tx_*; do test -e $t/before -a ! -e $t/result.json && exit 0; done; false"
    )
    names = [name for name in world.ids if name not in but]
    random.shuffle(names)
    for name in names:
        if world.box.execute(name, look).returncode == 0:
            return name
    return ""


def _goes_on(world: World, rollout: str, cut: list[str]) -> dict[str, Any]:
    """The rollout, once the cut endpoint's result is there and another ring's endpoint works, or it has ended."""
    view = world.product.rollout(rollout)
    known = {m["hostname"]: m["state"] for m in view["members"]}
    if view["state"] in (*STOPPED, *ENDED):
        return view
    return view if known[cut[-1]] in FINAL and _in_the_middle(world, cut) else {}


def _true(world: World, name: str) -> bool:
    """The server says of the package what its own manager has recorded, also that it is half configured."""
    items = world.product.server.cli("endpoint", "packages", world.ids[name])["items"]
    told = next((item for item in items if item["name"] == world.package(name)), None)
    if told is None:
        return not world.has(name)
    asked = f"dpkg-query -W -f '${{db:Status-Abbrev}}' {world.package(name)}"
    recorded = world.box.execute(name, asked).stdout.strip() if world.managers[name] == "apt" else "ii"
    return (told["version"].removesuffix("-1"), told["state"].strip()) == (world.has(name), recorded)
