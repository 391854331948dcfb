"""Who becomes a release for root's helper and the command line: what was confirmed here, never what is on probation."""

from __future__ import annotations

import subprocess

from tests.support_launcher import HEALTHY, PYTHON, RAN, READY, SAY, STAY, Endpoint, release_bytes

WHO = 'import sys\nif sys.argv[1:] == ["who"]: sys.exit({version!r})\n'
ON_TRIAL = WHO + SAY + RAN + READY + STAY  # never HEALTHY, so its trial goes on
GOOD = WHO + SAY + RAN + READY + HEALTHY + STAY


def who(host: Endpoint) -> str:
    places = ["--root", str(host.root), "--etc", str(host.etc), "--home", str(host.home)]
    command = [PYTHON, "-I", str(host.program), "exec", *places, "who"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()


def offer(host: Endpoint, version: str, program: str, sequence: int) -> str:
    release_id = host.cell.repository.publish(version, release_bytes(version, program, sequence), sequence)
    host.cell.repository.offer(release_id)
    return release_id


def test_what_is_on_probation_is_executed_for_nobody_but_its_trial(host: Endpoint) -> None:
    one = host.prepare(release_bytes("1.0.0", GOOD))
    host.start()
    host.until_running(one)
    assert who(host) == "1.0.0"
    two = offer(host, "2.0.0", ON_TRIAL, 2)
    host.until_running(two)
    host.until(lambda: host.runs("2.0.0") == 1)
    assert who(host) == "1.0.0"
    host.stop()
    assert who(host) == "1.0.0", "nor after the launcher has ended in the middle of the trial"
    assert host.runs("2.0.0") == 1


def test_once_confirmed_it_is_what_the_helper_becomes(host: Endpoint) -> None:
    one = host.prepare(release_bytes("1.0.0", GOOD))
    host.start()
    host.until_running(one)
    two = offer(host, "2.0.0", GOOD, 2)
    host.until_confirmed(two)
    assert who(host) == "2.0.0"
