"""The program that executes one order, run with the endpoint's own Python, killed at its worst moments."""

from __future__ import annotations

from pathlib import Path

from tests.aptrepo import Built, Repository
from tests.aptroot import Clone, eventually, order
from tests.integration.apt.steps import prepare
from tests.integration.apt.test_faults import lock_held

from brakeline.agent.providers.model import Bounds
from brakeline.agent.transaction import read_result, write_order
from brakeline.protocol.messages import Outcome, Transaction, TransactionResult

STATE = "/var/lib/brakeline-helper"
START = "from brakeline.agent.transaction import main; import sys; sys.exit(main(['tx_1']))"


def write(endpoint: Clone, transaction: Transaction, bounds: Bounds | None = None) -> None:
    write_order(endpoint.machine.path(STATE), order(transaction, bounds))


def run(endpoint: Clone) -> str:
    return endpoint.agent("-c", START)


def result(endpoint: Clone) -> TransactionResult:
    found = read_result(endpoint.machine.path(STATE), "tx_1")
    assert found is not None, log(endpoint)
    return found


def log(endpoint: Clone) -> str:
    path = Path(endpoint.machine.path(STATE)) / "tx/tx_1/log"
    return path.read_text() if path.exists() else "no log"


def test_order_in_result_out_and_never_twice(endpoint: Clone, repository: Repository) -> None:
    count = {"postinst": "echo x >> /var/lib/count"}
    prepare(endpoint, repository, Built("job", "2", scripts=count), first=(Built("job", "1"),))
    write(endpoint, endpoint.plan(("job", "2")))
    assert run(endpoint) == ""
    first = result(endpoint)
    assert (first.outcome, first.code) == (Outcome.INSTALLED, "ok"), first
    assert "Setting up job (2)" in log(endpoint)
    run(endpoint)
    assert result(endpoint) == first
    assert endpoint.sh("cat /var/lib/count") == "x\n"


def test_power_cut_before_anything_was_changed(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    write(endpoint, endpoint.plan(("job", "2")))
    (endpoint.machine.path(STATE) / "tx/tx_1/started").write_text("0")
    run(endpoint)
    assert (result(endpoint).outcome, result(endpoint).code) == (Outcome.INTERRUPTED, "interrupted_unchanged")
    assert endpoint.version("job") == "ii 1"


def test_everything_killed_in_mid_unpack_then_started_again(endpoint: Clone, repository: Repository) -> None:
    """As a power cut: no process is left, dpkg's journal is; the next start repairs and reports."""
    kill = "[ -e /tmp/once ] || { touch /tmp/once; kill -9 $(pgrep -f agent.transactio[n]) $(pgrep -x apt-get) $PPID; }"
    prepare(endpoint, repository, Built("job", "2", scripts={"preinst": kill}), first=(Built("job", "1"),))
    write(endpoint, endpoint.plan(("job", "2")))
    run(endpoint)
    assert read_result(endpoint.machine.path(STATE), "tx_1") is None
    assert endpoint.version("job") == "iHR 1"
    run(endpoint)
    assert (result(endpoint).outcome, result(endpoint).code) == (Outcome.INTERRUPTED, "interrupted_repaired"), result(
        endpoint
    )
    assert [(c.name, c.before, c.after) for c in result(endpoint).changes] == [("job", "1", "2")]
    assert (endpoint.version("job"), endpoint.sh("dpkg --audit")) == ("ii 2", "")


def test_a_script_that_was_cut_off_is_run_again(endpoint: Clone, repository: Repository) -> None:
    """A power cut in the middle of a postinst: only dpkg's journal tells it from a script that has failed."""
    kill = "[ -e /tmp/once ] || { touch /tmp/once; kill -9 $(pgrep -f agent.transactio[n]) $(pgrep -x apt-get) $PPID; }"
    prepare(endpoint, repository, Built("job", "2", scripts={"postinst": kill}), first=(Built("job", "1"),))
    write(endpoint, endpoint.plan(("job", "2")))
    run(endpoint)
    assert endpoint.version("job") == "iF 2"
    run(endpoint)
    assert result(endpoint).code == "interrupted_repaired", result(endpoint)
    assert (endpoint.version("job"), endpoint.sh("dpkg --audit")) == ("ii 2", "")


def test_without_leave_to_repair_the_state_is_told(endpoint: Clone, repository: Repository) -> None:
    kill = "kill -9 $(pgrep -f agent.transactio[n]) $(pgrep -x apt-get) $PPID"
    prepare(endpoint, repository, Built("job", "2", scripts={"preinst": kill}), first=(Built("job", "1"),))
    write(endpoint, endpoint.plan(("job", "2")), Bounds(repair=False))
    run(endpoint)
    run(endpoint)
    assert result(endpoint).code == "interrupted_broken"
    assert "job: half-installed (iHR), needs reinstallation" in result(endpoint).detail


def test_only_the_runner_is_killed_and_apt_goes_on(endpoint: Clone, repository: Repository) -> None:
    """The transaction itself is never interrupted; the next start waits for it and reports the truth."""
    slow = "kill -9 $(pgrep -f agent.transactio[n]); sleep 2"
    prepare(endpoint, repository, Built("job", "2", scripts={"postinst": slow}), first=(Built("job", "1"),))
    write(endpoint, endpoint.plan(("job", "2")))
    run(endpoint)
    run(endpoint)
    assert (result(endpoint).outcome, result(endpoint).code) == (Outcome.INTERRUPTED, "interrupted_complete")
    assert "may still be at work for this transaction" in log(endpoint)
    assert endpoint.version("job") == "ii 2"


def start(endpoint: Clone) -> None:
    endpoint.sh(f'env PYTHONPATH=/srv/source /usr/bin/python3 -c "{START}" >/dev/null 2>&1 &')


def test_asked_to_stop_in_the_middle_it_finishes_what_dpkg_has_begun(endpoint: Clone, repository: Repository) -> None:
    slow = {"postinst": "touch /tmp/begun; sleep 2"}
    prepare(endpoint, repository, Built("job", "2", scripts=slow), first=(Built("job", "1"),))
    write(endpoint, endpoint.plan(("job", "2")))
    start(endpoint)
    eventually(lambda: endpoint.machine.path("/tmp/begun").exists(), "dpkg is at work")
    endpoint.sh("pkill -TERM -f agent.transactio[n]")
    eventually(lambda: read_result(endpoint.machine.path(STATE), "tx_1"), "the transaction has ended")
    assert (result(endpoint).outcome, endpoint.version("job")) == (Outcome.INSTALLED, "ii 2")


def test_asked_to_stop_while_waiting_it_begins_nothing(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    write(endpoint, endpoint.plan(("job", "2")))
    with lock_held(endpoint, "/var/lib/dpkg/lock-frontend"):
        start(endpoint)
        eventually(lambda: "Waiting for python3" in log(endpoint), "it waits for the lock")
        endpoint.sh("pkill -TERM -f agent.transactio[n]")
        eventually(lambda: read_result(endpoint.machine.path(STATE), "tx_1"), "the transaction has ended")
    assert (result(endpoint).outcome, result(endpoint).code) == (Outcome.REFUSED, "shutdown")
    assert endpoint.version("job") == "ii 1"


def test_second_runner_at_the_same_time_does_nothing(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("job", "2", scripts={"postinst": "sleep 2"}), first=(Built("job", "1"),))
    write(endpoint, endpoint.plan(("job", "2")))
    start(endpoint)
    eventually(lambda: "Installing." in log(endpoint), "the first has begun")
    second = endpoint.sh(f'env PYTHONPATH=/srv/source /usr/bin/python3 -c "{START}" || echo code $?')
    assert second == "code 3\n"
    eventually(lambda: read_result(endpoint.machine.path(STATE), "tx_1"), "the first has ended")
    assert result(endpoint).outcome is Outcome.INSTALLED


def test_garbage_instead_of_an_order(endpoint: Clone) -> None:
    directory = endpoint.machine.path(STATE) / "tx/tx_1"
    directory.mkdir(parents=True)
    (directory / "order.json").write_text("{]")
    assert "no order to execute" in run(endpoint)
    assert not (directory / "started").exists()
