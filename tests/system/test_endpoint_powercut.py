"""Power is cut in the middle of a package transaction: after the boot dpkg is repaired, or the truth is told about it.

Once while a maintainer script runs, once while real security updates are being unpacked. Truth is what dpkg on the
endpoint says; the product must say the same, package by package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.system.box import Box
from tests.system.product import Product, short_policy
from tests.system.world import Server, wait_for
from tools.fleetbox.repository import Built, Repository

SLOW = "slow-to-configure"
INSTALLED = "install ok installed"
MIDDLE_WAIT_S = 60.0
TRUTH_WAIT_S = 120.0
FINAL = ("installed", "proven", "failed", "interrupted", "unhealthy", "refused", "expired")


@dataclass(frozen=True, slots=True)
class World:
    """Two endpoints, one for each way to be in the middle."""

    box: Box
    product: Product
    ids: dict[str, str]
    work: Path


@pytest.fixture(scope="module")
def world(server: Server, box: Box, work: Path) -> World:
    box.up(2, ("eu", "us"), server.data, enrolled=False)
    repository = Repository(box.place, work / "repository")
    # the second time, after the boot, it must be able to succeed: a repair that runs it again heals the endpoint
    once = "test -e /root/begun || { touch /root/begun; sync; sleep 60; }"
    repository.publish(Built(SLOW, "1.0"), Built(SLOW, "2.0", postinst=once))
    repository.close()
    repository.introduce("eu1", f"{SLOW}=1.0")
    box.enrol(server.data)
    product = Product(server)
    ids = product.await_inventories(("eu1", "us1"))
    product.allow_patching("tag:fleet-in-a-box")
    return World(box, product, ids, work)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "packages", "middle"),
    [
        pytest.param("eu1", (SLOW,), "test -e /root/begun", id="configuring"),
        pytest.param("us1", (), "test $(grep -c 'status half-installed' /var/log/dpkg.log) -gt 12", id="unpacking"),
    ],
)
def test_a_power_cut_is_repaired_or_truthfully_reported(
    world: World, name: str, packages: tuple[str, ...], middle: str
) -> None:
    box, product, endpoint = world.box, world.product, world.ids[name]
    wanted = dict.fromkeys(packages, "2.0") or box.pending_security(name)
    boot = box.boot_id(name)
    policy = short_policy(bake_s=4, first_checkpoint_s=60)
    rollout = product.deploy(world.work, policy, *packages, filter_text=f"region:{name[:2]}")
    wait_for("the middle of the transaction", lambda: box.execute(name, middle).returncode == 0, MIDDLE_WAIT_S, 0.05)
    box.power_cut(name)
    cut_short = [package for package in wanted if box.states_on_disk(name)[package] != (INSTALLED, wanted[package])]
    assert cut_short, "the cut came too late to test anything"
    box.start(name)
    assert box.boot_id(name) != boot

    member = wait_for("its result", lambda: _result(product, rollout), TRUTH_WAIT_S)
    wait_for("the server to know what dpkg knows", lambda: product.states(endpoint) == box.states(name), TRUTH_WAIT_S)
    healthy = box.run(name, "dpkg --audit") == ""
    wait_for("its health", lambda: product.show(endpoint)["health"]["healthy"] == healthy, TRUTH_WAIT_S)
    if not healthy:
        assert product.show(endpoint)["health"]["problems"]
    # it may only be called installed if it is
    if member["state"] in ("installed", "proven"):
        assert _all_there(box, name, wanted)
        assert healthy
    else:
        assert member["note"], member


def _result(product: Product, rollout: str) -> dict[str, str]:
    (member,) = product.rollout(rollout)["members"]
    return dict(member) if member["state"] in FINAL else {}


def _all_there(box: Box, name: str, wanted: dict[str, str]) -> bool:
    states = box.states(name)
    return all(states.get(package) == ("ii", version) for package, version in wanted.items())
