"""A drill on real endpoints: the agent program itself, four times, beside the real server in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.agent.conftest import Machine, bundle, looked  # noqa: F401 - fixtures
from tests.integration.drills.test_live_drill import asked, followed
from tests.integration.server.test_server_process import ServerProcess
from tests.support_cell import Pki

AGENTS = 4


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    found = Path(tempfile.mkdtemp(prefix="brakeline-test-real-drill-"))
    found.chmod(0o755)  # root's cluster runs as nobody
    yield found
    shutil.rmtree(found, ignore_errors=True)


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[ServerProcess]:
    made = ServerProcess(place)
    made.start()
    yield made
    assert made.end(signal.SIGTERM) == 0


@pytest.fixture(scope="module")
def machines(server: ServerProcess, place: Path, bundle: Path, looked: Path) -> Iterator[list[Machine]]:  # noqa: F811
    pki = object.__new__(Pki)
    pki.ca_file = Path(server.context["ca_file"])
    found: list[Machine] = []
    with contextlib.ExitStack() as stack:
        for n in range(AGENTS):
            home = place / f"machine-{n}"
            home.mkdir()
            machine = Machine(home, bundle, pki, looked)
            _, token = asked(server, "POST", "/enrol-tokens", {"region": ("eu", "us")[n % 2]})
            done = machine.enrol(f"https://127.0.0.1:{server.port}", token["token"])
            assert done.returncode == 0, done.stderr
            process = machine.run()
            stack.callback(process.communicate)
            stack.callback(process.kill)
            found.append(machine)
        yield found


def heard(server: ServerProcess) -> bool:
    items = asked(server, "GET", "/endpoints")[1]["items"]
    return len(items) == AGENTS and all(i["last_seen_ms"] for i in items)


def run(server: ServerProcess, **body: Any) -> Any:
    status, made = asked(server, "POST", "/drills/real", body)
    assert status == 202, made
    return made["drill"]["id"]


def test_without_consent_nothing_begins_and_the_answer_says_what_to_do(
    server: ServerProcess, machines: list[Machine]
) -> None:
    deadline = time.monotonic() + 60
    while not heard(server):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    status, problem = asked(server, "POST", "/drills/real", {"fails": 1})
    assert (status, problem["code"]) == (409, "no-drill-consent")
    assert "brakeline drill consent --give" in problem["hint"]
    assert asked(server, "GET", "/drills/real/consent")[1] == {"consent": None}
    status, plan = asked(server, "POST", "/drills/real/plan", {})
    assert (status, plan["endpoints"], plan["fails"], plan["consent"]) == (200, AGENTS, AGENTS, False)
    assert asked(server, "GET", "/rollouts")[1]["items"] == []
    assert machines[0].status()["connection"] == "connected"


def test_an_ordered_failure_is_braked_on_the_real_fleet_and_everybody_is_told(
    server: ServerProcess, machines: list[Machine]
) -> None:
    assert asked(server, "PUT", "/drills/real/consent")[1]["consent"]["given_by"]
    before = [json.loads((m.state / "state.json").read_text())["settings"] for m in machines]
    budget = asked(server, "GET", "/budgets")[1]
    assert asked(server, "POST", "/drills/real", {"expect_count": 9})[0] == 409
    drill_id = run(server, expect_count=AGENTS)
    assert asked(server, "POST", "/drills", {"fault": "bad-release"})[0] == 409, "one at a time"
    found = followed(server, drill_id)
    drill, report = found["drill"], found["drill"]["report"]
    assert drill["state"] == "halted", (drill["why"], report["gates"])
    assert drill["why"].startswith("BRAKED in the first ring: 1 reported the ordered failure, 3 of 4 real endpoints")
    assert (report["harmed"], report["told"], report["to_tell"]) == (1, AGENTS, AGENTS)
    assert found["evidence_to_halt_s"] is not None
    assert 0 <= found["halt_to_last_told_s"] < 30
    print(f"\nevidence to halt {found['evidence_to_halt_s']} s, halt to last told {found['halt_to_last_told_s']} s")
    _, rollout = asked(server, "GET", f"/rollouts/{drill['rollout_id']}")
    assert rollout["state"] == "withdrawn", "nothing of it can be resumed"
    assert asked(server, "GET", "/budgets")[1] == budget, "nothing was spent"
    after = [json.loads((m.state / "state.json").read_text())["settings"] for m in machines]
    assert after == before


def test_nobody_told_to_fail_completes_and_the_command_line_shows_the_report(
    server: ServerProcess, machines: list[Machine]
) -> None:
    def said(*words: str) -> str:
        command = [sys.executable, "-m", "brakeline.cli", "drill", *words]
        environment = os.environ | {"BRAKELINE_CONTEXT": str(server.data / "context.json")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    assert "agreed" in said("consent")
    plan = said("run", "real", "--fail", "0", "--dry-run")
    assert "4 real endpoints take part; nobody fails, so it must complete." in plan
    drill_id = run(server, fails=0)
    time.sleep(5)
    assert asked(server, "DELETE", "/drills/real/consent")[1] == {"consent": None}
    found = followed(server, drill_id)
    assert found["drill"]["state"] == "stopped", "taking consent back ends what runs"
    assert "real endpoints" in said("show", drill_id)
    assert "nobody has agreed" in said("consent")
    assert said("consent", "--give")
    found = followed(server, run(server, fails=0))
    assert found["drill"]["state"] == "passed", (found["drill"]["why"], found["drill"]["report"]["gates"])
    assert found["drill"]["report"]["offered"] == AGENTS


def test_one_that_a_killed_server_cut_off_is_withdrawn_at_the_next_start(
    server: ServerProcess, machines: list[Machine]
) -> None:
    drill_id = run(server, fails=0)
    time.sleep(3)
    server.end(signal.SIGKILL)
    server.start()
    _, found = asked(server, "GET", f"/drills/{drill_id}")
    assert found["drill"]["state"] == "broken_off"
    deadline = time.monotonic() + 30
    while asked(server, "GET", f"/rollouts/{found['drill']['rollout_id']}")[1]["state"] != "withdrawn":
        assert time.monotonic() < deadline
        time.sleep(0.5)
