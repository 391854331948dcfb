"""The zipapp as a process: enrolment, check-ins, inventory, bad days. No helper here, so it assesses only."""

from __future__ import annotations

import datetime
import os
import shutil
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
from tests.integration.agent.conftest import SCAN_S_MAX, Machine
from tests.support_cell import ENDPOINT, TOKEN, Cell, Pki, serving

from brakeline import __version__
from brakeline.agent import stamp
from brakeline.agent.scan import Looked
from brakeline.protocol import codec, routes
from brakeline.protocol.digests import inventory_digest
from brakeline.protocol.messages import Candidate, Mode, Problem, RestartStanding, Settings, UpdateRef


def enrolled(machine: Machine, cell: Cell) -> Machine:
    done = machine.enrol(cell.url)
    assert done.returncode == 0, done.stderr
    return machine


def test_from_token_to_inventory(machine: Machine, cell: Cell) -> None:
    machine.looked = None  # as on a new endpoint: the first look is a full one
    done = machine.enrol(cell.url)
    assert ENDPOINT in done.stdout
    key = machine.state / "key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_bytes().hex() not in machine.config.read_text()
    process = machine.run()
    cell.wait_until(lambda c: c.inventories, SCAN_S_MAX)
    inventory = cell.inventories[0]
    assert inventory.base_sequence == 0
    assert inventory.digest == inventory_digest(inventory.changed)
    assert inventory.status is not None
    assert inventory.status.facts.os_id == "debian"
    cell.wait_until(lambda c: c.check_ins[-1].inventory_digest == inventory.digest)
    assert machine.status()["connection"] == "connected"
    assert cell.connections == 2, "one for the enrolment, one kept alive by the agent"
    process.terminate()
    assert process.wait(5) == 0
    assert cell.goodbyes == 1
    seen = codec.decode(Looked, (machine.state / "work/looked.json").read_bytes()).look.stamp
    assert seen == stamp.take(__version__), "what the resident compares is what its scan has seen"


@pytest.mark.long
def test_an_unchanged_machine_is_not_looked_at_again(machine: Machine, cell: Cell) -> None:
    cell.say(settings=Settings(check_in_interval_s=1, inventory_interval_s=10))
    enrolled(machine, cell).run()
    cell.wait_until(lambda c: c.check_ins and c.check_ins[-1].inventory_sequence == 1, 60)
    started = machine.state / "work" / "stderr"  # made anew for each child
    first, until = started.stat().st_mtime_ns, time.monotonic() + 12
    cell.wait_until(lambda c: time.monotonic() > until, 30)
    assert started.stat().st_mtime_ns == first
    cell.say(scan=1)
    until = time.monotonic() + 20
    while started.stat().st_mtime_ns == first and time.monotonic() < until:
        time.sleep(0.05)
    assert started.stat().st_mtime_ns != first, "somebody asked"


def test_a_restart_sends_no_second_full_inventory(machine: Machine, cell: Cell) -> None:
    process = enrolled(machine, cell).run()
    cell.wait_until(lambda c: c.inventories and c.check_ins[-1].inventory_sequence == 1, 60)
    process.kill()
    process.wait()
    before = len(cell.check_ins)
    machine.run()
    cell.wait_until(lambda c: len(c.check_ins) > before + 1 and machine.status()["errand"] == "none", 60)
    assert all(i.base_sequence == 1 for i in cell.inventories[1:])


def test_a_long_poll_brings_news_at_once(machine: Machine, cell: Cell) -> None:
    enrolled(machine, cell).run()
    cell.wait_until(lambda c: c.check_ins and c.check_ins[-1].inventory_sequence == 1, 60)
    time.sleep(0.3)
    started = time.monotonic()
    cell.say(settings=Settings(Mode.PATCH), candidates=(Candidate("ro_x", 1, (UpdateRef("jq", "2"),)),))
    cell.wait_until(lambda c: c.check_ins[-1].not_ready)
    assert time.monotonic() - started < 5
    assert cell.check_ins[-1].not_ready[0].code == "assess_only"


def test_bad_tokens_end_in_one_sentence_and_code_3(machine: Machine, cell: Cell) -> None:
    done = machine.enrol(cell.url, "et_wrong")
    assert done.returncode == 3
    assert done.stderr == "brakeline-agent: The enrolment token was refused. There is no such token. Make a new one.\n"
    assert not machine.config.exists()


def test_the_token_may_come_from_a_file_or_by_standard_input(machine: Machine, cell: Cell, tmp_path: Path) -> None:
    """So that it does not stand in the list of processes."""
    (tmp_path / "token").write_text(TOKEN + "\n")
    assert machine.enrol(cell.url, str(tmp_path / "token")).returncode == 0
    cell.endpoint_key, cell.counter = "", 0
    command = machine.command("enrol", "--server", cell.url, "--token", "-", "--ca", str(machine.pki.ca_file))
    words = [*command, "--force", "--proxy", "none"]
    done = subprocess.run(words, input=TOKEN + "\n", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    gone = machine.enrol(cell.url, str(tmp_path / "gone"), "--force")
    assert (gone.returncode, "the file with the token cannot be read: No such file" in gone.stderr) == (2, True)
    empty = subprocess.run(words, input="", capture_output=True, text=True, timeout=60, check=False)
    assert (empty.returncode, "no token came by standard input" in empty.stderr) == (2, True)


def test_enrolling_twice_keeps_the_identity_unless_forced(machine: Machine, cell: Cell) -> None:
    enrolled(machine, cell)
    key = (machine.state / "key").read_bytes()
    again = machine.enrol(cell.url)
    assert again.returncode == 6
    assert (machine.state / "key").read_bytes() == key
    cell.endpoint_key = ""
    cell.counter = 0
    assert machine.enrol(cell.url, "et_00000000000000000000000000", "--force").returncode == 0
    assert (machine.state / "key").read_bytes() != key


def test_no_server_no_route_wrong_authority(machine: Machine, cell: Cell, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        done = machine.enrol(f"https://127.0.0.1:{free.getsockname()[1]}")
    assert (done.returncode, "Connection refused" in done.stderr) == (4, True)
    other = tmp_path / "other"
    other.mkdir()
    with serving(Cell(), Pki(other)) as impostor:
        done = machine.enrol(impostor.url)
    assert (done.returncode, "certificate" in done.stderr) == (4, True), done.stderr
    wrong_name = tmp_path / "name"
    wrong_name.mkdir()
    shutil.copy(tmp_path / "ca.pem", wrong_name)
    with serving(Cell(), Pki(wrong_name, "localhost")) as misnamed:
        machine.pki.ca_file = wrong_name / "ca.pem"
        done = machine.enrol(misnamed.url)
    assert (done.returncode, "cell.brakeline.internal" in done.stderr) == (4, True), done.stderr
    assert machine.enrol("http://127.0.0.1:1").returncode == 2


def test_not_enrolled_and_unknown_keys_say_what_to_do(machine: Machine) -> None:
    done = machine.call("run")
    assert done.returncode == 5
    assert "Add endpoint" in done.stderr
    machine.config.write_text('{"server_ulr": "x"}')
    done = machine.call("run")
    assert done.returncode == 1
    assert "did you mean 'server_url'" in done.stderr


def test_a_clock_that_is_years_off_is_no_obstacle(machine: Machine, tmp_path: Path) -> None:
    """The server lives seven years ahead, with a certificate that is not valid yet by this machine's clock."""
    years = datetime.timedelta(days=7 * 365)
    future = tmp_path / "future"
    future.mkdir()
    pki = Pki(future, not_after=datetime.datetime.now(datetime.UTC) + years)
    machine.pki = pki
    with serving(Cell(offset_ms=round((years.total_seconds() - 86_400) * 1000)), pki) as cell:
        enrolled(machine, cell).run()
        cell.wait_until(lambda c: c.check_ins, 30)
        assert cell.requests.count("enrol") == 2, "the first was refused, with the server's time"
        assert cell.requests.count("secret") == 2


def test_a_certificate_that_certainly_ended_is_refused(machine: Machine, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    with serving(Cell(), Pki(old, not_after=datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC))) as cell:
        machine.pki.ca_file = old / "ca.pem"
        done = machine.enrol(cell.url)
    assert (done.returncode, "certainly passed" in done.stderr) == (4, True), done.stderr


def test_a_cloned_identity_stops_and_says_enrol_again(machine: Machine, cell: Cell) -> None:
    cell.script = [(routes.CHECK_IN, Problem(routes.P_CLONED, "Two machines use this identity.", 409), {})]
    enrolled(machine, cell).run()
    cell.wait_until(lambda c: "check-in" in c.requests)
    until = time.monotonic() + 10
    while "Enrol this machine again" not in machine.status().get("connection", "") and time.monotonic() < until:
        time.sleep(0.05)
    assert "refused by the cell (cloned)" in machine.status()["connection"]
    assert not cell.check_ins


def test_lost_answers_garbage_and_expired_secrets_heal(machine: Machine, cell: Cell) -> None:
    cell.say(settings=Settings(check_in_interval_s=1))
    enrolled(machine, cell)
    cell.script = [
        (routes.SECRET, Problem("boom", "Broken.", 500), {}),
        (routes.CHECK_IN, Problem("shed", "Too busy.", 503), {"retry-after": "1"}),
        (routes.CHECK_IN, Problem(routes.P_SECRET_EXPIRED, "Expired.", 401), {}),
        (routes.INVENTORY, Problem("too-large", "Too large.", 413), {}),
    ]
    machine.run()
    cell.wait_until(lambda c: len(c.check_ins) >= 2, 30)
    cell.answers_lost = 2
    n = len(cell.check_ins)
    cell.wait_until(lambda c: len(c.check_ins) >= n + 4, 30)
    cell.wait_until(lambda c: not c.script, 120)  # the last one is met when the first scan has ended


def test_the_server_goes_and_comes_back(machine: Machine, bundle: Path, tmp_path: Path) -> None:
    other = tmp_path / "server"
    other.mkdir()
    pki, cell = Pki(other), Cell()
    machine.pki = pki
    with serving(cell, pki):
        port = int(cell.url.rpartition(":")[2])
        enrolled(machine, cell)
        process = machine.run()
        cell.wait_until(lambda c: c.check_ins)
    n = len(cell.check_ins)
    time.sleep(0.5)
    with serving(cell, pki, port):
        cell.wait_until(lambda c: len(c.check_ins) > n, 90)
    assert process.poll() is None


def test_sigterm_in_a_long_poll_ends_at_once(machine: Machine, cell: Cell) -> None:
    process = enrolled(machine, cell).run()
    cell.wait_until(lambda c: c.check_ins and c.check_ins[-1].inventory_sequence == 1, 60)
    time.sleep(0.3)
    started = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(5) == 0
    assert time.monotonic() - started < 2
    assert cell.goodbyes == 1


@pytest.mark.parametrize(
    ("state", "jobs", "reason"),
    [
        ("stopping", "10 reboot.target start waiting", "restart"),
        ("stopping", "11 poweroff.target start waiting", "shutdown"),
        ("stopping", "", "shutdown"),
        ("running", "12 brakeline-agent.service stop running", "agent_stop"),
    ],
)
def test_a_real_process_told_to_end_says_whether_the_machine_comes_back(
    machine: Machine, cell: Cell, tmp_path: Path, state: str, jobs: str, reason: str
) -> None:
    fake = tmp_path / "bin" / "systemctl"  # this machine must not go down for it
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\ncase "$1" in is-system-running) echo {state};; list-jobs) echo "{jobs}";; esac\n')
    fake.chmod(0o755)
    process = enrolled(machine, cell).run("env", f"PATH={fake.parent}:{os.environ['PATH']}")
    cell.wait_until(lambda c: c.check_ins and c.check_ins[-1].inventory_sequence == 1, 60)
    process.terminate()
    assert process.wait(10) == 0
    assert cell.reasons == [reason]


def test_what_it_tells_of_itself_is_measured(machine: Machine, cell: Cell) -> None:
    enrolled(machine, cell).run()
    cell.wait_until(lambda c: c.check_ins and c.check_ins[-1].inventory_sequence == 1, 60)
    for health in [c.health for c in cell.check_ins]:  # from the first on
        assert health.memory_total_bytes > health.memory_available_bytes > 0
        assert health.disk_total_bytes >= health.disk_free_bytes > 0
        assert health.processors == os.cpu_count()
        assert 5 * 1024**2 < health.agent_memory_bytes < 100 * 1024**2
        assert 0 <= health.agent_permille <= 1000
    assert cell.check_ins[-1].restart == RestartStanding(False, "")


def test_the_state_of_a_damaged_disk_is_begun_anew(machine: Machine, cell: Cell) -> None:
    process = enrolled(machine, cell).run()
    cell.wait_until(lambda c: c.check_ins and c.check_ins[-1].inventory_sequence == 1, 60)
    process.kill()
    process.wait()
    for name in ("state.json", "acknowledged.tsv"):
        (machine.state / name).write_bytes(b"\x00\xffgarbage")
    (machine.state / "spool" / "tx_01JD0000000000000000000009.json").write_bytes(b'{"transaction')
    machine.run()
    cell.wait_until(lambda c: len(c.inventories) == 2, 60)
    assert cell.inventories[1].base_sequence == 0
    assert [p.name for p in (machine.state / "spool" / "unreadable").iterdir()] == [
        "tx_01JD0000000000000000000009.json"
    ]
