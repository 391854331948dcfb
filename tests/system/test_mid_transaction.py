"""While a package transaction runs, the agent of one endpoint and the launcher of another are killed; on a third a bad
agent is reverted and a good one begins its probation; on two more a launcher that crashes is left again, and a good one
is tried. It ends well every time, and both that are good are confirmed after it.

The transaction runs in a unit of its own. Its maintainer script waits until the test lets it go on; until then each
disturbance must leave that very unit and that very process alone, and the agent that comes after must bring the
offer to its end. What the script prints is at the cell before that, and nothing that was there is lost by a kill.
The launcher's own update ends its unit, and its trial begins another agent: two endpoints more, because no launcher is
tried under an agent that has begun in the middle and could not look at the machine since.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.system.box import Box
from tests.system.product import Product, short_policy
from tests.system.test_launcher_rollout import crashing
from tests.system.world import Server, wait_for
from tools.badreleases.catalogue import catalogue
from tools.badreleases.run import built
from tools.fleetbox import enrol
from tools.fleetbox.repository import Built, Repository

from brakeline.cli.client import ApiError, Client, read_context

AGENT_KILLED, LAUNCHER_KILLED, UPDATED, NEW_LAUNCHER, BAD_LAUNCHER = NAMES = ("eu1", "eu2", "eu3", "eu4", "eu5")
SLOW = "slow-to-configure"
pytestmark = pytest.mark.long
WAITS = """echo $$ >> /root/runs-of-2.0; echo slowly: begun, with password=hunter2
n=0; while ! test -e /root/go-on; do sleep 0.2; n=$((n+1)); test $((n % 10)) -ne 0 || echo slowly: $n; done
echo slowly: over"""
HASTE = {"check_every_s": 3, "probation_s": 3, "ready_s": 30, "healthy_s": 600, "restart_s": [0.5]}
OWN = HASTE | {"launcher_calm_s": 2, "launcher_ready_s": 30, "launcher_probation_s": 3, "launcher_trial_s": 600}
AGENT, LAUNCHER = "agent.pyz run", "launcher.pyz run"
STEP_S, ROLL_S = 90.0, 180.0
CRASHES = b"""import os, threading, time
def crash():
    while not os.path.exists("/run/crash-now"):
        time.sleep(0.2)
    os._exit(9)
threading.Thread(target=crash, daemon=True).start()
"""
EARLY = "early-in-the-middle"  # tag of who alone is leased the launcher that crashes


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

    def report(self, name: str = UPDATED) -> dict[str, Any]:
        """What the launcher of an endpoint says."""
        return report(self.box, name)

    def release(self, bundle: bytes | str, *chosen: str) -> str:
        """Publish and lease at once to everybody, or to those `chosen`; the rollout's id."""
        file = self.work / "release.tar"
        if isinstance(bundle, bytes):
            file.write_bytes(bundle)
        release_id = self.product.server.cli("release", "publish", str(file if isinstance(bundle, bytes) else bundle))[
            "id"
        ]
        policy = self.work / "release-policy.json"
        policy.write_text(json.dumps(at_once()))
        words = ("release", "promote", release_id, "--policy", str(policy), "--start", *chosen)
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


def report(box: Box, name: str) -> dict[str, Any]:
    """What a launcher has written down; {} = nothing yet."""
    said = box.execute(name, "cat /var/lib/brakeline-launcher/report.json").stdout
    return dict(json.loads(said)) if said else {}


def restarts(box: Box, name: str) -> int:
    """How often systemd has begun the launcher's unit again by itself."""
    return int(box.run(name, "systemctl show --property=NRestarts --value brakeline-agent"))


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
    for name, knobs in ((UPDATED, HASTE), (NEW_LAUNCHER, OWN), (BAD_LAUNCHER, OWN)):
        box.run(name, f"echo '{json.dumps({'knobs': knobs})}' > /etc/brakeline/launcher.json")
        box.run(name, "systemctl restart brakeline-agent")
    product.allow_patching(f"tag:{enrol.TAG}")
    server.cli("endpoint", "tag", BAD_LAUNCHER, enrol.TAG, EARLY)
    server.cli("policy", "create", "early", "--filter", f"tag:{EARLY}", "--mode", "leave", "--channel", "early")
    for name in (NEW_LAUNCHER, BAD_LAUNCHER):
        wait_for(f"the agent of {name} to be calm", lambda n=name: report(box, n).get("launcher_waits") == "", STEP_S)  # type: ignore[misc]
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


def on_trial(world: World, name: str, release_id: str) -> None:
    """A launcher is tried in slot a and its agent is heard; the transaction goes on."""
    box = world.box
    wait_for("it to be on trial", lambda: world.report(name).get("launcher_release") == release_id, STEP_S)
    wait_for("its agent to run", lambda: world.report(name).get("running"), STEP_S)
    assert process(box, name, "launcher/a/launcher.pyz run")
    heard_again(world, name)
    told = world.report(name)
    assert (told["launcher_slot"], told["launcher_trial"]) == ("a", release_id), "neither confirmed nor left yet"
    assert middle(box, name) == world.middle[name]


def test_a_launcher_that_crashes_is_left_again(world: World) -> None:
    """It leaves its agent running; the launcher from before ends that one and begins another."""
    box, name, cli = world.box, BAD_LAUNCHER, world.product.server.cli
    good, begun = world.report(name)["confirmed"], restarts(box, name)
    bad = crashing("2.0.0", 1000, CRASHES)
    early = world.release(bad.bundle, "--channel", "early")
    on_trial(world, name, bad.release_id)
    assert restarts(box, name) == begun + 1, "the launcher has ended for it, and with it all of its unit"
    left = process(box, name, AGENT)
    box.run(name, "touch /run/crash-now")
    wait_for("it to be left", lambda: bad.release_id in world.report(name).get("launcher_failed", ()), STEP_S)
    wait_for("the agent to run", lambda: world.report(name).get("running") == good, STEP_S)
    heard_again(world, name)
    told = world.report(name)
    trial = told["launcher_last_trial"]
    assert (trial["release_id"], trial["outcome"], trial["runs"]) == (bad.release_id, "reverted", 1)
    assert (trial["code"], trial["detail"]) == ("ended", "with code 9")
    assert (told["launcher_slot"], told["launcher_trial"]) == ("factory", "")
    assert process(box, name, AGENT) not in ("", left)
    assert restarts(box, name) == begun + 1, "the stub has become it"
    assert middle(box, name) == world.middle[name]
    cli("rollout", "withdraw", early, "--reason", "only the launcher's own look was to be seen")


def test_a_good_launcher_is_confirmed(world: World) -> None:
    """Once its agent could look at the machine, which waits for the transaction's end."""
    box, name, cli = world.box, NEW_LAUNCHER, world.product.server.cli
    begun = restarts(box, name)
    good = cli("release", "build", "3.0.0", "--sequence", "5000", "--product", "launcher", "--out", str(world.work))
    rolling = world.release(good["files"][0])
    on_trial(world, name, good["id"])
    box.run(name, "touch /root/go-on")
    wait_for("it to be confirmed", lambda: world.report(name).get("launcher_trial") == "", STEP_S)
    told = world.report(name)
    trial = told["launcher_last_trial"]
    assert (trial["release_id"], trial["outcome"]) == (good["id"], "confirmed"), trial
    assert (told["launcher_slot"], told["launcher_release"]) == ("a", good["id"])
    assert (box.state(name, SLOW), box.version(name, SLOW)) == ("ii", "2.0")
    assert restarts(box, name) == begun + 1, "for the trial; what is confirmed goes on as it is"
    cli("rollout", "withdraw", rolling, "--reason", "only the launcher's own look was to be seen")


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


@pytest.mark.parametrize("name", NAMES)
def test_the_result_is_at_the_cell_once(world: World, name: str) -> None:
    at = client(world)
    runs = at.get(f"/endpoints/{world.ids[name]}/runs")["items"]
    assert [(r["run"]["rollout_id"], r["outcome"]["outcome"]) for r in runs] == [(world.rollout, "installed")]
    found = at.get(f"/endpoints/{world.ids[name]}/changes")["changes"]
    changed = [c for c in found if c["name"] == SLOW and c["kind"] == "changed"]
    assert [(c["before"], c["after"], c["author"]["rollout_id"]) for c in changed] == [("1.0", "2.0", world.rollout)]


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
