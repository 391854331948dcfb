"""A drill on real endpoints: the agent program itself, four times, beside the real server in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from tests.integration.agent.conftest import Machine, bundle, looked  # noqa: F401 - fixtures
from tests.integration.drills.test_live_drill import asked, followed
from tests.integration.server.test_server_process import ServerProcess
from tests.support_cell import Pki

pytestmark = pytest.mark.long  # test_live_drill.py is the required one
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


def cli(server: ServerProcess, *words: str) -> str:
    command = [sys.executable, "-m", "brakeline.cli", *words]
    environment = os.environ | {"BRAKELINE_CONTEXT": str(server.data / "context.json")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def test_the_command_line_plans_shows_and_taking_consent_back_ends_what_runs(
    server: ServerProcess, machines: list[Machine]
) -> None:
    def said(*words: str) -> str:
        return cli(server, "drill", *words)

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


def test_nobody_told_to_fail_completes(server: ServerProcess, machines: list[Machine]) -> None:
    assert asked(server, "PUT", "/drills/real/consent")[1]["consent"]["given_by"]
    found = followed(server, run(server, fails=0))
    assert found["drill"]["state"] == "passed", (found["drill"]["why"], found["drill"]["report"]["gates"])
    assert found["drill"]["report"]["offered"] == AGENTS


class Browser:
    """A person signed in by the one-time link, who fills in forms."""

    def __init__(self, server: ServerProcess) -> None:
        self.base = f"https://127.0.0.1:{server.port}"
        trust = ssl.create_default_context(cafile=server.context["ca_file"])
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=trust), urllib.request.HTTPCookieProcessor()
        )
        link = re.search(rb"login link \S+/login/(\S+)", server.output)
        assert link is not None, server.output
        self.page(f"/login/{link[1].decode()}")
        self.post("/login/link", csrf="none yet", token=link[1].decode(), password="four random words are good")

    def page(self, path: str) -> str:
        with self.opener.open(self.base + path, timeout=30) as answer:
            return str(answer.read().decode())

    def post(self, path: str, **form: str) -> str:
        request = urllib.request.Request(self.base + path, urlencode(form).encode(), {"Origin": self.base})
        with self.opener.open(request, timeout=30) as answer:
            return str(answer.read().decode())


def test_the_pages_agree_plan_run_and_replay_under_the_own_shape(
    server: ServerProcess, machines: list[Machine]
) -> None:
    person = Browser(server)
    page = person.page("/drills/real?fails=1")
    token = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert token is not None
    assert "4 real endpoints take part; 1 of them, the lowest draws, are told to report a failure" in page
    person.post("/drills/real/take-back", csrf=token[1])
    page = person.page("/drills/real")
    assert "Nobody has agreed to drills on real endpoints" in page
    assert 'id="real-run"' not in page
    assert "agreed" in person.post("/drills/real/agree", csrf=token[1])
    begun = person.post("/drills/real", csrf=token[1], filter="", fails="", expect_count="4")
    assert "drill: real endpoints, nothing is changed" in begun
    assert "See its rollout" in begun
    newest = asked(server, "GET", "/drills")[1]["items"][0]
    followed(server, newest["id"])
    assert "was touched, no budget spent, nothing quarantined" in person.page(f"/drills/{newest['id']}")
    own = person.page("/drills/own")
    assert "fewer than 20 of them, so the defaults of `sim.rates` are used" in own
    assert "Nothing was replayed yet" in own


def test_the_shape_of_the_fleet_is_counts_alone(server: ServerProcess, machines: list[Machine]) -> None:
    text = cli(server, "fleet", "shape", "--json")
    shape = json.loads(text)
    assert shape["endpoints"] == AGENTS
    assert {k["name"] for k in shape["regions"]} == {"eu", "us"}
    ids = [e["id"] for e in asked(server, "GET", "/endpoints")[1]["items"]]
    assert not any(i in text for i in ids)
    assert "4 active endpoints: 2 regions" in cli(server, "fleet", "shape")


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
