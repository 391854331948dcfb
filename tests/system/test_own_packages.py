"""Own packages on whole endpoints: real server, launchers, agents, systemd; signed by an author whom root has named,
brought by content, deployed over rings.

A good version with scripts before and after reaches all. One whose service breaks is stopped in the first ring and
taken back by the package before. One whose script never ends is ended with everything that it started, and told.
Endpoints that were spared are judged by their own files.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.system.box import Box
from tests.system.product import STOPPED, Product, short_policy
from tests.system.world import BRAKELINE, Server, wait_for

from brakeline.cli.client import Client, read_context

pytestmark = pytest.mark.long  # minutes of waiting; tests/integration/own has each kind in the required set

NAMES = ("eu1", "eu2", "eu3")
NAME = "payroll"
HASTE = {"check_every_s": 3600, "probation_s": 3, "ready_s": 30, "healthy_s": 600, "restart_s": [0.5]}
STEP_S, ROLL_S, LOOK_S, ANSWER_S = 240.0, 600.0, 3.0, 60.0
UNIT = "[Service]\\nExecStart=/bin/sh /opt/payroll/serve\\n"
PRE = """set -e
test "$BRAKELINE_STEP" = pre
printf '%s %s>%s\\n' pre "$BRAKELINE_BEFORE" "$BRAKELINE_VERSION" >> /root/steps
"""
INSTALL = f"""set -e
umask 022
mkdir -p /opt/payroll
cp "$BRAKELINE_ARTIFACT" /opt/payroll/serve
printf '{UNIT}' > /etc/systemd/system/payroll.service
printf 'version=%s\\n' "$BRAKELINE_VERSION" > /opt/payroll/VERSION
"""
POST = """set -e
printf '%s %s>%s\\n' post "$BRAKELINE_BEFORE" "$BRAKELINE_VERSION" >> /root/steps
systemctl daemon-reload
systemctl restart payroll.service
"""
HANGS = "sleep 4711 & sleep 4712\n"


def script(text: str, timeout_s: int = 60) -> dict[str, Any]:
    return {"interpreter": "sh", "text": text, "timeout_s": timeout_s}


@dataclass
class World:
    """Three endpoints, whose root believes one author; what was brought so far."""

    box: Box
    product: Product
    ids: dict[str, str]
    work: Path
    contents: int = 0
    brought: list[str] = field(default_factory=list)

    def cli(self, *words: str) -> Any:
        return self.product.server.cli(*words)

    def ask(self, path: str) -> Any:
        """In this process: a look every few seconds by the command line would cost more than all the rest."""
        return Client(read_context(self.product.server.data / "context.json"), ANSWER_S).get(path)

    def ended(self, rollout: str) -> dict[str, Any]:
        """The rollout once it goes on no more."""

        def look() -> dict[str, Any]:
            seen = dict(self.ask(f"/rollouts/{rollout}"))
            return seen if seen["state"] in ("completed", *STOPPED) else {}

        return wait_for(f"the end of {rollout}", look, ROLL_S, LOOK_S)

    def sign(self, version: str, serve: str, **scripts: dict[str, Any]) -> None:
        """Written, signed by the author, and taken in, as people do it."""
        artifact = self.work / f"serve-{version}"
        artifact.write_text(serve)
        data = artifact.read_bytes()
        plain = {
            "name": NAME, "version": version, "title": "Payroll client",
            "detection": {"kind": "file", "path": "/opt/payroll/VERSION", "pattern": "version=([0-9.]+)"},
            "artifact": {"file": "serve", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
            "pre": script(PRE), "install": script(INSTALL), "post": script(POST),
            "uninstall": script("systemctl disable --now payroll.service; rm -rf /opt/payroll\n"), **scripts,
        }  # fmt: skip
        file = self.work / f"payroll-{version}.json"
        file.write_text(json.dumps(plain))
        self.cli("software", "sign", str(file), "--key", str(self.work / "ann.pem"))
        self.cli("software", "add", str(file), "--payload", str(artifact))

    def make_content(self) -> None:
        """Everything that stands becomes content, and every endpoint has it."""
        self.contents += 1
        folder = self.work / f"content-{self.contents}"
        self.cli("software", "content", str(folder))
        words = ("--product", "content", "--sequence", str(50 + self.contents), "--from", str(folder))
        made = self.cli("release", "build", f"1.{50 + self.contents}.0", *words, "--out", str(self.work))
        release_id = self.cli("release", "publish", made["files"][0])["id"]
        policy = self.work / "content-policy.json"
        once = short_policy(2, 20) | {"rings": [{"name": "all", "bake_s": 2, "share": 1.0}]}
        policy.write_text(json.dumps(once))
        rollout = self.cli("release", "promote", release_id, "--policy", str(policy), "--start")["id"]
        seen = self.ended(rollout)
        assert seen["state"] == "completed", seen["why"]
        for name in NAMES:
            wait_for(f"content on {name}", lambda n=name: self._content(n) == release_id, STEP_S)  # type: ignore[misc]

    def _content(self, name: str) -> str:
        said = self.box.execute(name, "cat /var/lib/brakeline-launcher/report.json").stdout
        return str(json.loads(said).get("content", "")) if said else ""

    def deploy(self, bake_s: int) -> str:
        return self.product.deploy(self.work, short_policy(bake_s, 16), f"{NAME}:own")

    def seen(self, name: str) -> str:
        """The version that the cell has of it."""
        items = self.ask(f"/endpoints/{self.ids[name]}/packages")
        return next((str(i["version"]) for i in items if (i["name"], i["architecture"]) == (NAME, "own")), "")

    def has(self, name: str) -> str:
        return self.box.execute(name, "cat /opt/payroll/VERSION").stdout.strip().removeprefix("version=")

    def all_have(self) -> dict[str, str]:
        return {name: self.has(name) for name in NAMES}

    def active(self, name: str) -> bool:
        return self.box.execute(name, "systemctl is-active --quiet payroll.service").returncode == 0


@pytest.fixture(scope="module")
def world(server: Server, box: Box, work: Path) -> World:
    subprocess.run([str(BRAKELINE), "release", "keygen", "ann", "--dir", str(work), "--plain"], check=True,
                   env=os.environ, stdin=subprocess.DEVNULL, capture_output=True)  # fmt: skip
    made = server.cli("software", "authors", str(work / "ann.pub"), "--needed", "1")
    box.up(len(NAMES), ("eu",), server.data, enrolled=False)
    for name in NAMES:
        box.run(name, f"mkdir -p /etc/brakeline; echo '{json.dumps(made)}' > /etc/brakeline/authors.json")
    box.enrol(server.data)
    product = Product(server)
    ids = product.await_inventories(NAMES)
    for name in NAMES:
        box.run(name, f"echo '{json.dumps({'knobs': HASTE})}' > /etc/brakeline/launcher.json")
        box.run(name, "systemctl restart brakeline-agent")
    product.allow_patching("tag:fleet-in-a-box")
    return World(box, product, ids, work)


def test_a_good_version_reaches_all_with_its_scripts_before_and_after(world: World) -> None:
    world.sign("1.0", "exec sleep 1000000\n")
    world.make_content()
    assert world.all_have() == dict.fromkeys(NAMES, ""), "content alone installs nothing"
    seen = world.ended(world.deploy(2))
    assert seen["state"] == "completed", seen["why"]
    assert world.all_have() == dict.fromkeys(NAMES, "1.0")
    for name in NAMES:
        assert world.active(name)
        assert world.box.run(name, "cat /root/steps") == "pre >1.0\npost >1.0\n"
        wait_for("the cell to see it", lambda n=name: world.seen(n)[:4] == "1.0+", STEP_S, LOOK_S)  # type: ignore[misc]


def test_a_version_whose_service_breaks_is_stopped_in_the_first_ring_and_taken_back(world: World) -> None:
    world.sign("2.0", "sleep 2; exit 3\n")
    world.make_content()
    rollout = world.deploy(3600)  # nothing but what is wrong stops the ring
    seen = world.ended(rollout)
    assert seen["state"] in STOPPED, seen["why"]
    hit = [name for name, version in world.all_have().items() if version == "2.0"]
    assert len(hit) == 1, seen["why"]
    assert world.ids[hit[0]] in seen["why"]
    assert set(seen["spared"]) == set(NAMES) - set(hit)
    assert all(world.active(name) for name in seen["spared"])
    world.cli("software", "withdraw", NAME, "2.0", "--reason", "its service ends by itself")
    if seen["state"] != "halted":
        world.cli("rollout", "brake", rollout)
    back = world.cli("rollout", "rollback", rollout, "--yes", "--start")
    wait_for("the package before", lambda: world.has(hit[0]) == "1.0", ROLL_S)
    wait_for("its service", lambda: world.active(hit[0]), STEP_S)
    assert world.box.run(hit[0], "tail -n 2 /root/steps") == "pre 2.0>1.0\npost 2.0>1.0\n"
    for ended in (back["id"], rollout):  # until then its endpoints are watched, and in no other rollout
        world.cli("rollout", "withdraw", ended, "--reason", "the bad version is taken back")


def test_a_script_that_never_ends_is_ended_with_what_it_started_and_told(world: World) -> None:
    world.sign("3.0", "exec sleep 1000000\n", install=script(HANGS, 5))
    world.make_content()
    rollout = world.deploy(3600)
    seen = world.ended(rollout)
    assert seen["state"] in STOPPED, seen["why"]
    failed = [m for m in seen["members"] if m["state"] == "failed"]
    assert len(failed) == 1, seen["why"]
    victim = failed[0]["hostname"]
    told = world.ask(f"/rollouts/{rollout}")
    assert "had not ended after 5 s" in json.dumps(told), told["why"]
    assert not world.box.execute(victim, "pgrep -f 'sleep 471[12]'").stdout.strip()
    assert world.all_have() == dict.fromkeys(NAMES, "1.0")
    assert world.active(victim)
    world.cli("rollout", "withdraw", rollout, "--reason", "a bad version")
