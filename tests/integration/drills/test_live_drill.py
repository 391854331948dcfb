"""A live drill on the real server in a process of its own, beside a real endpoint: how it ends and what it leaves."""

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
from tests.integration.server.test_server_process import ServerProcess

TAKES_S = 200.0


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with contextlib.ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="brakeline-test-drill-"))
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        place.chmod(0o755)  # root's cluster runs as nobody
        made = ServerProcess(place)
        made.start()
        yield made
        assert made.end(signal.SIGTERM) == 0


def asked(server: ServerProcess, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    status, _, answer = server.api(method, f"/api/v1{path}", body)
    return status, json.loads(answer)


def followed(server: ServerProcess, drill_id: str) -> Any:
    """The drill once it is over."""
    deadline = time.monotonic() + TAKES_S
    while time.monotonic() < deadline:
        status, found = asked(server, "GET", f"/drills/{drill_id}")
        assert status == 200
        if found["drill"]["state"] != "running":
            return found
        time.sleep(0.5)
    raise AssertionError(f"not over after {TAKES_S} s: {found}")


@pytest.mark.long
def test_a_bad_release_is_braked_in_the_first_ring_and_the_real_endpoint_hears_nothing(server: ServerProcess) -> None:
    twin = server.agent()
    before = asked(server, "GET", "/endpoints")[1]["items"]
    status, made = asked(server, "POST", "/drills", {"fault": "bad-release", "endpoints": 300})
    assert status == 202
    drill_id = made["drill"]["id"]
    assert asked(server, "POST", "/drills", {"fault": "bad-release"})[0] == 409, "one at a time"
    time.sleep(15)
    reply = json.loads(twin.check_in(wait_s=0).body)
    assert (reply["candidates"], reply["offers"], reply["halted"]) == ([], [], [])
    assert [e["id"] for e in asked(server, "GET", "/endpoints")[1]["items"]] == [e["id"] for e in before]
    assert asked(server, "GET", "/rollouts")[1]["items"] == []
    found = followed(server, drill_id)
    drill, report = found["drill"], found["drill"]["report"]
    assert drill["state"] == "halted", (drill["why"], report["gates"])
    assert drill["why"] == f"BRAKED in the first ring: {report['harmed']} harmed, {report['spared']} of 300 spared"
    assert report["first_ring"]
    assert report["harmed"] == report["offered"] <= 12
    assert report["real_endpoints"] == 1
    assert report["told"] == report["to_tell"] == 300 - report["harmed"]
    assert found["evidence_to_halt_s"] is not None
    assert 0 <= found["halt_to_last_told_s"] < 60
    assert asked(server, "GET", "/drills")[1]["items"][0]["id"] == drill_id
    actions = [e["action"] for e in asked(server, "GET", "/audit?limit=20")[1]["items"]]
    assert {"drill.run", "drill.end"} <= set(actions)


def test_a_drill_is_stopped_by_one_press_and_pressing_twice_does_no_harm(server: ServerProcess) -> None:
    _, made = asked(server, "POST", "/drills", {"fault": "good-release", "endpoints": 50})
    drill_id = made["drill"]["id"]
    time.sleep(4)
    for _ in range(2):
        assert asked(server, "POST", f"/drills/{drill_id}/stop")[0] == 200
        found = followed(server, drill_id)
        assert found["drill"]["state"] == "stopped"
        assert found["drill"]["why"].startswith("stopped by ")


@pytest.mark.long
def test_the_command_line_plans_lists_and_shows(server: ServerProcess) -> None:
    def said(*words: str) -> str:
        command = [sys.executable, "-m", "brakeline.cli", "drill", *words]
        environment = os.environ | {"BRAKELINE_CONTEXT": str(server.data / "context.json")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout

    plan = said("run", "bad-release", "--dry-run")
    assert plan.startswith("[drill: simulated endpoints] bad-release: every endpoint that takes it falls silent")
    assert "No real endpoint is asked or changed." in plan
    first = asked(server, "GET", "/drills")[1]["items"][-1]
    assert first["id"] in said("list")
    report = said("show", first["id"])
    assert f"{first['id']}  bad-release  halted: BRAKED in the first ring" in report
    assert "1 in this organisation; none was asked or changed" in report
    assert {i["name"] for i in json.loads(said("faults", "--json"))["items"] if i["live"]} >= {"bad-release"}


def test_what_cannot_be_run_is_refused_with_what_to_do(server: ServerProcess) -> None:
    for body, status, says in (
        ({"fault": "bad-release", "endpoints": 5}, 422, "drill replay"),
        ({"fault": "worse", "endpoints": 300}, 404, "bad-release"),
        ({"endpoints": "many"}, 422, "endpoints"),
    ):
        for path in ("/drills", "/drills/plan"):
            code, problem = asked(server, "POST", path, body)
            assert (code, says in problem["detail"]) == (status, True), problem
    assert asked(server, "GET", "/drills/dr_nothing")[0] == 404


@pytest.mark.long
def test_a_drill_that_a_killed_server_cut_off_is_said_to_be_so_and_cleared_away(server: ServerProcess) -> None:
    _, made = asked(server, "POST", "/drills", {"fault": "bad-release", "endpoints": 60})
    time.sleep(3)
    server.end(signal.SIGKILL)
    server.start()
    _, found = asked(server, "GET", f"/drills/{made['drill']['id']}")
    assert (found["drill"]["state"], found["drill"]["why"]) == ("broken_off", "the server ended while it ran")
    assert len(asked(server, "GET", "/endpoints")[1]["items"]) == 1
    status, again = asked(server, "POST", "/drills", {"fault": "bad-release", "endpoints": 50})
    assert status == 202, "the next one begins as if nothing had been"
    assert asked(server, "POST", f"/drills/{again['drill']['id']}/stop")[0] == 200
    assert followed(server, again["drill"]["id"])["drill"]["state"] == "stopped"
