"""Agent and launcher are killed, updated and reverted while a package transaction runs: it ends well every time.

The transaction runs in a unit of its own. Its maintainer script waits until the test lets it go on; until then each
disturbance must leave that very unit and that very process alone, and the agent that comes after must bring the
offer to its end. What the script prints is at the cell before that, and nothing that was there is lost by a kill.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.system.box import Box
from tests.system.product import Product, short_policy
from tests.system.world import Server, wait_for
from tools.badreleases.catalogue import catalogue
from tools.badreleases.run import built
from tools.fleetbox.repository import Built, Repository

from brakeline.cli.client import ApiError, Client, read_context

AGENT_KILLED, LAUNCHER_KILLED, UPDATED = NAMES = ("eu1", "eu2", "eu3")
SLOW = "slow-to-configure"
pytestmark = pytest.mark.long
WAITS = """echo $$ >> /root/runs-of-2.0; echo slowly: begun, with password=hunter2
n=0; while ! test -e /root/go-on; do sleep 0.2; n=$((n+1)); test $((n % 10)) -ne 0 || echo slowly: $n; done
echo slowly: over"""
HASTE = {"check_every_s": 3, "probation_s": 3, "ready_s": 30, "healthy_s": 600, "restart_s": [0.5]}
AGENT, LAUNCHER = "agent.pyz run", "launcher.pyz run"
STEP_S, ROLL_S = 90.0, 180.0


@dataclass(frozen=True, slots=True)
class Middle:
    """What must not change: the transaction's unit, its invocation, and the maintainer script that waits in it."""

    unit: str
    invocation: str
    script: str


@dataclass(frozen=True, slots=True)
class World:
    box: Box
    product: Product
    ids: dict[str, str]
    work: Path
    rollout: str
    middle: dict[str, Middle]

    def report(self) -> dict[str, Any]:
        """What the launcher says that is updated and goes back."""
        said = self.box.execute(UPDATED, "cat /var/lib/brakeline-launcher/report.json").stdout
        return dict(json.loads(said)) if said else {}

    def release(self, bundle: bytes | str) -> str:
        """Publish and lease to everybody at once; the rollout's id."""
        file = self.work / "release.tar"
        if isinstance(bundle, bytes):
            file.write_bytes(bundle)
        release_id = self.product.server.cli("release", "publish", str(file if isinstance(bundle, bytes) else bundle))[
            "id"
        ]
        policy = self.work / "release-policy.json"
        policy.write_text(json.dumps(at_once()))
        words = ("release", "promote", release_id, "--policy", str(policy), "--start")
        return str(self.product.server.cli(*words)["id"])


def at_once() -> dict[str, Any]:
    """One ring of all, so that every endpoint is in the middle at the same time."""
    return short_policy(bake_s=2, first_checkpoint_s=20) | {"rings": [{"name": "all", "bake_s": 2, "share": 1.0}]}


def middle(box: Box, name: str) -> Middle | None:
    """The transaction that waits on this endpoint now."""
    unit = box.execute(name, "systemctl list-units --plain --no-legend 'brakeline-tx_*'").stdout.split()
    script = box.execute(name, "cat /root/runs-of-2.0").stdout.strip()
    if not unit or not script or box.execute(name, f"kill -0 {script}").returncode:
        return None
    return Middle(unit[0], box.run(name, f"systemctl show --property=InvocationID --value {unit[0]}").strip(), script)


def process(box: Box, name: str, what: str) -> str:
    """Ids of the processes with these words; "" = there is none."""
    return box.execute(name, f"pgrep -f '[{what[0]}]{what[1:]}'").stdout.strip()


@pytest.fixture(scope="module")
def world(server: Server, box: Box, work: Path) -> World:
    box.up(len(NAMES), ("eu",), server.data, enrolled=False)
    repository = Repository(box.place, work / "repository")
    repository.publish(Built(SLOW, "1.0"), Built(SLOW, "2.0", postinst=WAITS))
    repository.close()
    for name in NAMES:
        repository.introduce(name, f"{SLOW}=1.0")
    box.enrol(server.data)
    product = Product(server)
    ids = product.await_inventories(NAMES)
    box.run(UPDATED, f"echo '{json.dumps({'knobs': HASTE})}' > /etc/brakeline/launcher.json")
    box.run(UPDATED, "systemctl restart brakeline-agent")
    product.allow_patching("tag:fleet-in-a-box")
    rollout = product.deploy(work, at_once(), SLOW)
    found = {n: wait_for(f"the middle on {n}", lambda n=n: middle(box, n), STEP_S, 0.2) for n in NAMES}  # type: ignore[misc]
    return World(box, product, ids, work, rollout, {n: m for n, m in found.items() if m is not None})


def heard_again(world: World, name: str) -> None:
    last = world.product.endpoints()[name]["last_seen_ms"]
    wait_for(f"{name} to be heard", lambda: world.product.endpoints()[name]["last_seen_ms"] > last, STEP_S)


def log_of(world: World, name: str) -> dict[str, Any]:
    """The newest run of an endpoint as the API gives it; {} = none is known yet."""
    try:
        return dict(client(world).get(f"/endpoints/{world.ids[name]}/runs/latest"))
    except ApiError:
        return {}


def client(world: World) -> Client:
    """In this process: a look each half second by the command line would cost more than all the rest."""
    return Client(read_context(world.product.server.data / "context.json"))


def printed(log: dict[str, Any]) -> list[str]:
    return [e["text"] for e in log.get("entries", ()) if e["text"].startswith("slowly:")]


def test_lines_are_at_the_cell_before_the_transaction_ends(world: World) -> None:
    """Out of the database, through the API, while dpkg waits for the script."""
    for name in NAMES:
        wait_for(f"lines of {name}", lambda n=name: len(printed(log_of(world, n))) >= 2, STEP_S)  # type: ignore[misc]
        seen = log_of(world, name)
        assert (seen["state"], seen["outcome"]["outcome"]) == ("running", "")
        assert printed(seen)[0] == "slowly: begun, with password=***", "secrets are masked on the endpoint"
        ran = [c for c in seen["commands"] if c["argv"][0] == "apt-get" and f"{SLOW}=2.0" in c["argv"]]
        assert ran, [c["argv"] for c in seen["commands"]]
        assert ran[-1]["rc"] is None, "it runs"
        assert all(c["rc"] == 0 for c in seen["commands"] if c["argv"][0] == "dpkg-query")
        assert middle(world.box, name) == world.middle[name]


@pytest.mark.parametrize(("name", "victim"), [(AGENT_KILLED, AGENT), (LAUNCHER_KILLED, LAUNCHER)])
def test_killed(world: World, name: str, victim: str) -> None:
    box = world.box
    before, told = (process(box, name, victim), process(box, name, AGENT)), log_of(world, name)["entries"]
    assert all(before)
    box.run(name, f"kill -9 {before[0]}")
    wait_for(
        "both to run again", lambda: _others(process(box, name, victim), process(box, name, AGENT), before), STEP_S
    )
    heard_again(world, name)
    assert middle(box, name) == world.middle[name]
    wait_for("more lines", lambda: len(printed(log_of(world, name))) > len([e for e in told if "slowly" in e["text"]]),
             STEP_S)  # fmt: skip
    assert log_of(world, name)["entries"][: len(told)] == told, "nothing that was acknowledged is lost"


def _others(victim: str, agent: str, before: tuple[str, str]) -> bool:
    """Whether both run, as processes that are not those from before."""
    return bool(victim and agent) and victim != before[0] and agent != before[1]


def test_reverted_then_updated(world: World) -> None:
    """By the launcher's own looks: it asks nobody whether a transaction runs, because it may. The new release stays on
    probation meanwhile: healthy is who could look at the machine, and that waits for the transaction's end."""
    cli = world.product.server.cli
    before = world.report()["confirmed"]
    bad = built(next(b for b in catalogue() if b.name == "exits"), 20)
    halted = world.release(bad.bundle)
    wait_for("the bad one to be reverted", lambda: bad.release_id in world.report().get("quarantined", ()), STEP_S)
    wait_for("the one before to run", lambda: world.report().get("running") == before, STEP_S)
    heard_again(world, UPDATED)
    assert middle(world.box, UPDATED) == world.middle[UPDATED]

    good = cli("release", "build", "1.1.0", "--sequence", "30", "--out", str(world.work))
    rolling = world.release(good["files"][0])
    wait_for("the new release to run", lambda: world.report().get("running") == good["id"], STEP_S)
    heard_again(world, UPDATED)
    assert middle(world.box, UPDATED) == world.middle[UPDATED]
    world.box.run(UPDATED, "touch /root/go-on")
    wait_for("the new release to be confirmed", lambda: world.report().get("confirmed") == good["id"], STEP_S)
    for rollout_id in (halted, rolling):
        cli("rollout", "withdraw", rollout_id, "--reason", "only the launcher's own look was to be seen")


def test_every_transaction_ends_well(world: World) -> None:
    box = world.box
    for name in NAMES:
        box.run(name, "touch /root/go-on")
    seen = world.product.await_state(world.rollout, ("completed", "halted", "withdrawn"), ROLL_S)
    assert seen["state"] == "completed", seen["why"]
    assert {m["hostname"]: m["state"] for m in seen["members"]} == dict.fromkeys(NAMES, "proven")
    for name in NAMES:
        assert (box.state(name, SLOW), box.version(name, SLOW)) == ("ii", "2.0")
        assert box.run(name, "wc -l < /root/runs-of-2.0").strip() == "1"
        assert len(box.dpkg_log(name, SLOW, "2.0")) == 1
        assert box.run(name, "dpkg --audit") == ""
        wait_for("the cell to know", lambda n=name: world.product.packages(world.ids[n])[SLOW] == "2.0", STEP_S)  # type: ignore[misc]


@pytest.mark.parametrize("name", NAMES)
def test_the_whole_log_is_at_the_cell(world: World, name: str) -> None:
    wait_for("its end", lambda: log_of(world, name)["run"]["ended_ms"] > 0, STEP_S)
    seen = log_of(world, name)
    assert [e["n"] for e in seen["entries"]] == list(range(1, len(seen["entries"]) + 1)), "without a gap"
    assert (printed(seen)[0], printed(seen)[-1]) == ("slowly: begun, with password=***", "slowly: over")
    assert (seen["state"], seen["outcome"]["outcome"], seen["note"]) == ("ended", "installed", "")
    assert "hunter2" not in json.dumps(seen)
    assert all(c["rc"] is not None and c["took_ms"] >= 0 for c in seen["commands"])
    world.box.run(name, 'test -z "$(ls -A /var/lib/brakeline/runs)"')


def test_who_changed_what(world: World) -> None:
    name = AGENT_KILLED
    world.box.run(name, f"dpkg --purge {SLOW}")

    def changes() -> dict[str, Any]:
        found = client(world).get(f"/endpoints/{world.ids[name]}/changes")["changes"]
        return {c["kind"]: c for c in found if c["name"] == SLOW}

    wait_for("the removal to be seen", lambda: "removed" in changes(), STEP_S)
    seen = changes()
    assert (seen["changed"]["before"], seen["changed"]["after"]) == ("1.0", "2.0")
    assert seen["changed"]["author"]["rollout_id"] == world.rollout
    assert seen["removed"]["author"] == {"rollout_id": "", "title": "outside of Brakeline"}
