"""Endpoints of four package managers in one fleet: enrolled, patched by one deployment, and saved from bad updates.

*Real manager, synthetic distribution*: dnf, zypper and pacman as Debian 12 has them manage the `/` of their endpoints,
which have packages built here and no others. Each package brings a real service, which systemd really runs. What an
endpoint has is read from its own package manager, never from the server.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.system.box import Box
from tests.system.product import ENDED, Product, short_policy
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
UNIT = "[Unit]\nDescription=demonstration\n[Service]\nExecStart=/bin/sh /usr/share/{name}/run\n" \
       "[Install]\nWantedBy=multi-user.target\n"  # fmt: skip


def service(name: str, version: str, runs: str = RUNS) -> Built:
    """A package whose service is restarted by its script, as services of distributions are."""
    script = "\n".join(f"systemctl {do}" for do in ("daemon-reload", f"-q enable {name}", f"restart {name} || true"))
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

    def publish(self, version: str, runs: str = RUNS, managers: tuple[str, ...] = DEALT) -> None:
        """A newer version for these managers, of which every endpoint then knows."""
        for manager in managers:
            built = service(f"{SERVICE}-{manager}", version, runs)
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
