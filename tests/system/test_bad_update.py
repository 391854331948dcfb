"""Bad updates, built here, let loose on real endpoints: the brake stops each within its first ring.

One fails in its postinst; one cuts its endpoint off the network for good, so that nothing more is heard of it. Two
leave an endpoint whose services all run: one answers with errors, which people's own probe tells, one floods the
journal.
Which endpoints kept their version is read from dpkg, on the endpoints.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.system.box import Box
from tests.system.product import STOPPED, Product, short_policy
from tests.system.world import CHECK_IN_S, Server, wait_for
from tools.fleetbox.repository import Built, Repository

NAMES = ("eu1", "eu2", "eu3", "us1", "us2", "us3")
FIRST_RING = 1
FAILS, CUTS = "fails-in-postinst", "cuts-the-network"
ANSWERS, COMPLAINS = "answers", "complains"
WEB = "http://127.0.0.1:8088/health"
UNIT = """[Service]
ExecStart=/usr/bin/python3 /usr/lib/answers/serve.py
DynamicUser=yes
[Install]
WantedBy=multi-user.target
"""
SERVE = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        print(f"<6>asked by {self.headers['User-Agent']}", flush=True)
        self.send_response(%d)
        self.end_headers()
    def log_message(self, *words):
        pass
HTTPServer(("127.0.0.1", 8088), Handler).serve_forever()
"""
# enabled: whoever had its power cut before answers again afterwards, else its probe fails before the update, too
RESTART = "systemctl daemon-reload; systemctl enable --quiet answers.service; systemctl restart answers.service"
COMPLAIN = "systemd-run --quiet --unit=complains sh -c 'while sleep 0.2; do echo \"<3>no database\"; done'"
WORKS_NOT = (  # where it goes, and what its victim says
    (ANSWERS, "eu", "probe web (HTTP 500) failed"),
    (COMPLAINS, "us", "errors: complains.service ("),
)
WATCHED_S = 3600  # longer than the test: nothing but what is wrong stops the ring
STOP_WAIT_S = 90.0
CALM_CHECK_INS = 4
TELLING_WAIT_S = 480.0  # root is asked for the journal every ten check-ins, and a crowded machine is slow


@dataclass(frozen=True, slots=True)
class World:
    """Six enrolled endpoints that have all packages in version 1.0, and a source that has 2.0. Root of each allows
    probes, and a policy sets one."""

    box: Box
    product: Product
    ids: dict[str, str]
    work: Path

    def healthy(self, name: str) -> bool:
        return bool(self.product.show(self.ids[name])["health"]["healthy"])


@pytest.fixture(scope="module")
def world(server: Server, box: Box, work: Path) -> World:
    box.up(len(NAMES), ("eu", "us"), server.data, enrolled=False)
    repository = Repository(box.place, work / "repository")
    repository.publish(
        Built(FAILS, "1.0"),
        Built(FAILS, "2.0", postinst="echo 'this update breaks on every machine' >&2; exit 7"),
        Built(CUTS, "1.0"),
        Built(CUTS, "2.0", postinst="ip link set dev eth0 down"),
        answering("1.0", 200),
        answering("2.0", 500),
        Built(COMPLAINS, "1.0"),
        Built(COMPLAINS, "2.0", postinst=COMPLAIN),
    )
    repository.close()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda name: _prepare(box, repository, name), NAMES))
    box.enrol(server.data)
    product = Product(server)
    ids = product.await_inventories(NAMES)
    policy = ["policy", "create", "patch and probe", "--filter", "tag:fleet-in-a-box", "--mode", "patch"]
    server.cli(*policy, "--probe", f"web {WEB}")
    return World(box, product, ids, work)


def answering(version: str, code: int) -> Built:
    """A web service whose every answer has this code."""
    files = (("usr/lib/answers/serve.py", SERVE % code), ("usr/lib/systemd/system/answers.service", UNIT))
    return Built(ANSWERS, version, postinst=RESTART, files=files)


def _prepare(box: Box, repository: Repository, name: str) -> None:
    repository.introduce(name, *(f"{package}=1.0" for package in (FAILS, CUTS, ANSWERS, COMPLAINS)))
    box.run(name, """mkdir -p /etc/brakeline; echo '{"probes": ["http:8088"]}' > /etc/brakeline/limits.json""")


@pytest.fixture(autouse=True)
def repaired(world: World) -> Iterator[None]:
    """Afterwards an administrator takes a broken package off its endpoint."""
    yield
    for name in NAMES:
        if world.box.state(name, FAILS) == "iF":
            world.box.run(name, f"dpkg --remove {FAILS}")
            world.product.server.cli("endpoint", "scan", world.ids[name])
            wait_for(f"the health of {name}", functools.partial(world.healthy, name), STOP_WAIT_S)


@pytest.mark.long
@pytest.mark.parametrize(("package", "harm"), [(FAILS, "failed"), (CUTS, "silent")])
def test_the_first_ring_is_all_that_a_bad_update_gets(world: World, package: str, harm: str) -> None:
    box, product = world.box, world.product
    policy = short_policy(bake_s=10, first_checkpoint_s=16)
    rollout = product.deploy(world.work, policy, package)
    view = product.await_state(rollout, STOPPED, STOP_WAIT_S)

    hit = {name for name in NAMES if box.version(name, package) != "1.0"}
    assert len(hit) == FIRST_RING
    (victim,) = hit
    targets = {member["hostname"] for member in view["members"]}
    assert targets == set(NAMES)
    # every spared endpoint is named, and they are those that dpkg says kept their version
    assert set(view["spared"]) == targets - hit
    assert {member["hostname"]: member["state"] for member in view["members"]}[victim] == harm
    assert world.ids[victim] in view["why"]
    assert box.state(victim, package) == ("iF" if harm == "failed" else "ii")
    _nothing_more_happens(world, rollout, package, set(NAMES) - hit)
    # until somebody ends it, its endpoints are watched and in no other rollout
    product.server.cli("rollout", "withdraw", rollout, "--reason", "a bad update")
    if harm == "silent":
        _comes_back(world, victim)


@pytest.mark.long
def test_updates_whose_services_run_and_do_not_work_stop_in_their_first_rings(world: World) -> None:
    """One in each region, at once."""
    for name in NAMES:
        wait_for(f"the probe of {name}", functools.partial(_probed, world, name), STOP_WAIT_S)
    policy = short_policy(bake_s=WATCHED_S, first_checkpoint_s=16)
    rollouts = [
        world.product.deploy(world.work, policy, package, filter_text=f"tag:fleet-in-a-box region:{region}")
        for package, region, _ in WORKS_NOT
    ]
    for rollout, (package, region, tells) in zip(rollouts, WORKS_NOT, strict=True):
        _stops_and_says(world, rollout, package, {name for name in NAMES if name.startswith(region)}, tells)


def _stops_and_says(world: World, rollout: str, package: str, targets: set[str], tells: str) -> None:
    def told() -> dict[str, Any]:
        view = world.product.rollout(rollout)
        said = any(tells in member["note"] for member in view["members"])
        return view if said and view["state"] in STOPPED else {}

    view = wait_for(f"a stop that says {tells!r}", told, TELLING_WAIT_S)
    assert {member["hostname"] for member in view["members"]} == targets
    (victim,) = (name for name in targets if world.box.version(name, package) != "1.0")
    assert [member["hostname"] for member in view["members"] if tells in member["note"]] == [victim]
    assert world.ids[victim] in view["why"]
    assert world.healthy(victim)  # no service of it has failed
    _nothing_more_happens(world, rollout, package, targets - {victim})
    world.product.server.cli("rollout", "withdraw", rollout, "--reason", "a bad update")


def _probed(world: World, name: str) -> bool:
    """Whether it has tried its probe twice since it was booted, so that what it tells next says that it passes."""
    asked = world.box.run(name, "journalctl --quiet --no-pager --boot -u answers.service -o cat")
    return asked.count("asked by brakeline-probe") > 1


def _comes_back(world: World, victim: str) -> None:
    """A power cut and a boot bring back the network that the update took down."""
    last = int(world.product.endpoints()[victim]["last_seen_ms"])
    world.box.power_cut(victim)
    world.box.start(victim)
    wait_for(f"{victim} again", lambda: world.product.endpoints()[victim]["last_seen_ms"] > last, STOP_WAIT_S)


def _nothing_more_happens(world: World, rollout: str, package: str, spared: set[str]) -> None:
    """Several check-ins later every spared endpoint still has what it had, and the rollout still stands."""
    seen = {name: int(line["last_seen_ms"]) for name, line in world.product.endpoints().items() if name in spared}
    assert set(seen) == spared
    calm_ms = CALM_CHECK_INS * CHECK_IN_S * 1000

    def all_heard() -> bool:
        listed = world.product.endpoints()
        return all(listed[name]["last_seen_ms"] >= seen[name] + calm_ms for name in spared)

    wait_for("more check-ins of every spared endpoint", all_heard, STOP_WAIT_S)
    assert {name: world.box.version(name, package) for name in spared} == dict.fromkeys(spared, "1.0")
    assert not [name for name in spared if world.box.dpkg_log(name, package, "2.0")]
    assert world.product.rollout(rollout)["state"] in STOPPED
