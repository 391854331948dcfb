"""The main job from an empty directory: enrol, see what is vulnerable, patch ring by ring with real apt, see it closed.

What is installed before and after is read from dpkg on the endpoints; what stands open is computed by apt's own
version comparison. Nothing is judged by what the product says of itself.
"""

from __future__ import annotations

import functools
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zstandard
from tests.support import require
from tests.system.box import Box
from tests.system.product import ENDED, Product, expected_findings, short_policy
from tests.system.world import Server, wait_for

from brakeline.advisories.seed import SEED_DIR

NAMES = ("eu1", "eu2", "eu3", "us1", "us2", "us3")
CHOSEN = ("expat", "jq", "libssh2-1", "openssl", "unzip", "xzdec")  # with the libraries that they need
ROLLOUT_WAIT_S = 240.0
CLOSE_WAIT_S = 60.0


@dataclass(slots=True)
class World:
    """Six endpoints, and what was pending on each before anything happened."""

    box: Box
    product: Product
    rows: list[dict[str, str]]
    ids: dict[str, str] = field(default_factory=dict)
    pending: dict[str, dict[str, str]] = field(default_factory=dict)
    open_before: dict[str, set[tuple[str, str]]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def world(server: Server, box: Box) -> World:
    oracle = subprocess.run(["/usr/bin/python3", "-c", "import apt_pkg"], capture_output=True, check=False)
    require(oracle.returncode == 0, "python3-apt (the differential oracle of version comparison)")
    box.up(len(NAMES), ("eu", "us"), server.data)
    rows = zstandard.ZstdDecompressor().decompressobj()
    text = rows.decompress((SEED_DIR / "debian-bookworm-changelog-cves.jsonl.zst").read_bytes())
    made = World(box, Product(server), [json.loads(line) for line in text.splitlines()])
    made.ids = made.product.await_inventories(NAMES)
    made.pending = {name: box.pending_security(name) for name in NAMES}
    made.open_before = {name: expected_findings(box.sources(name), made.rows) for name in NAMES}
    return made


def test_six_endpoints_in_two_regions_and_their_packages(world: World) -> None:
    listed = world.product.endpoints()
    assert {name: listed[name]["region"] for name in NAMES} == {name: name[:2] for name in NAMES}
    for name in NAMES:
        assert world.product.packages(world.ids[name]) == world.box.versions(name)


def test_pending_updates_are_those_of_apt(world: World) -> None:
    for name in NAMES:
        shown = world.product.show(world.ids[name])["pending"]
        assert {u["name"]: u["candidate"] for u in shown if u["security"]} == world.pending[name]


@pytest.mark.parametrize("name", NAMES[:1] + NAMES[-1:])
def test_findings_match_the_versions_really_installed(world: World, name: str) -> None:
    installed = world.box.sources(name)
    findings = world.product.findings(world.ids[name])
    assert {(f["cve"], f["source"]) for f in findings} == expected_findings(installed, world.rows)
    assert findings
    for finding in findings:  # advisories speak of sources: a rebuild of the same source (+b6) has no other version
        assert finding["installed"] in installed[finding["source"]]
        assert finding["package"] in world.box.versions(name)


def test_nothing_is_changed_without_a_policy(world: World) -> None:
    refused = world.product.server.cli("deployment", "preview", "--select", "security")
    assert refused["count"] == 0
    assert {s["hostname"] for s in refused["plan"]["skipped"]} == set(NAMES)


def test_a_deployment_goes_ring_by_ring_and_real_apt_installs(world: World, work: Path) -> None:
    world.product.allow_patching("tag:fleet-in-a-box")
    rollout = world.product.deploy(work, short_policy(bake_s=4, first_checkpoint_s=60), *CHOSEN)
    seen = world.product.await_state(rollout, ENDED, ROLLOUT_WAIT_S)
    assert seen["state"] == "completed", seen["why"]
    for name in NAMES:
        installed = world.box.versions(name)
        assert {p: installed[p] for p in CHOSEN} == {p: world.pending[name][p] for p in CHOSEN}
        assert not set(CHOSEN) & set(world.box.pending_security(name))
        assert world.box.run(name, "dpkg --audit") == ""
    _ring_by_ring(world, seen["members"])


def _ring_by_ring(world: World, members: list[dict[str, str]]) -> None:
    """By dpkg's own log: a ring began after the last package of the ring before was installed."""
    spans: dict[str, list[tuple[str, str]]] = {}
    for member in members:
        done = world.box.run(member["hostname"], "cat /var/log/dpkg.log").splitlines()
        after = [line[:19] for line in done if " upgrade " in line or " status installed " in line]
        spans.setdefault(member["ring"], []).append((_first_upgrade(done), max(after)))
    assert [len(spans[ring]) for ring in ("canary", "early", "all")] == [1, 2, 3]
    for before, following in (("canary", "early"), ("early", "all")):
        assert max(end for _, end in spans[before]) <= min(begin for begin, _ in spans[following])


def _first_upgrade(log: list[str]) -> str:
    return next(line[:19] for line in log if " upgrade " in line)


def test_the_findings_close(world: World) -> None:
    for name in (NAMES[0], NAMES[-1]):
        left = expected_findings(world.box.sources(name), world.rows)
        assert left < world.open_before[name]
        wait_for(f"the findings of {name} to close", functools.partial(_open_are, world, name, left), CLOSE_WAIT_S)


def _open_are(world: World, name: str, left: set[tuple[str, str]]) -> bool:
    return {(f["cve"], f["source"]) for f in world.product.findings(world.ids[name])} == left
