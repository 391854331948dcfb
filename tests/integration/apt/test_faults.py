"""Faults provoked for real, each ending in one stable code, one true sentence and the true state of packages."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.aptrepo import Built, Repository
from tests.aptroot import Clone, clone, eventually, order
from tests.integration.apt.steps import prepare

from brakeline.agent.providers.model import Bounds
from brakeline.protocol.messages import Outcome, PackageChange

HOLD_LOCK = (
    "import fcntl,time; f=open({path!r},'w'); fcntl.lockf(f,fcntl.LOCK_EX); print('held',flush=True); time.sleep(60)"
)


@contextmanager
def lock_held(endpoint: Clone, path: str) -> Iterator[None]:
    """Somebody holds a lock of dpkg or apt, as those do (fcntl)."""
    command = [*endpoint.machine.prefix, "/usr/bin/python3", "-c", HOLD_LOCK.format(path=path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        endpoint.sh("pkill -f 'fcntl.LOCK_E[X]' || true")
        holder.communicate()


def test_failing_postinst_is_named_and_later_runs_are_refused(endpoint: Clone, repository: Repository) -> None:
    bad = Built("bad", "2", scripts={"postinst": "echo boom >&2; exit 7"})
    prepare(endpoint, repository, bad, Built("good", "2"), first=(Built("bad", "1"), Built("good", "1")))
    result = endpoint.apply(endpoint.plan(("bad", "2")))
    assert (result.outcome, result.code) == (Outcome.FAILED, "maintainer_script_failed"), result
    assert (
        "bad: installed bad package post-installation script subprocess returned error exit status 7" in result.detail
    )
    assert result.changes == (PackageChange("bad", "all", "1", "2", "iF"),)
    assert not result.health.healthy
    assert result.health.problems == ("bad: half-configured: its maintainer script failed (iF)",)
    refused = endpoint.refusal(("good", "2"))
    assert (refused.code, "bad: half-configured" in refused.reason) == ("unhealthy", True)
    repository.publish(Built("bad", "3"))
    endpoint.sh("apt-get -q -eany update")
    cured = endpoint.apply(endpoint.plan(("bad", "3")), number=2)
    assert cured.outcome is Outcome.INSTALLED, "an update of the broken package itself is the cure"
    assert endpoint.plan(("good", "2")).actions


def test_failing_preinst_leaves_the_old_version(endpoint: Clone, repository: Repository) -> None:
    bad = Built("shy", "2", scripts={"preinst": "exit 3"})
    prepare(endpoint, repository, bad, first=(Built("shy", "1"),))
    result = endpoint.apply(endpoint.plan(("shy", "2")))
    assert (result.outcome, result.code) == (Outcome.FAILED, "maintainer_script_failed")
    assert "exit status 3" in result.detail
    assert endpoint.version("shy") == "ii 1"


@pytest.mark.long
def test_hanging_postinst_is_ended_with_everything_it_started(endpoint: Clone, repository: Repository) -> None:
    hang = Built("hang", "2", scripts={"postinst": "(setsid sleep 4242 &) ; sleep 4243"})
    prepare(endpoint, repository, hang, first=(Built("hang", "1"),))
    bounds = Bounds(run_s_max=4)
    started = time.monotonic()
    result = endpoint.apply(endpoint.plan(("hang", "2")), bounds)
    assert (result.outcome, result.code) == (Outcome.FAILED, "timeout"), result
    assert "Not finished after 4 s; ended were:" in result.detail
    assert time.monotonic() - started < 20
    assert not {"dpkg", "apt-get", "hang.postinst"} & set(endpoint.sh("cat /proc/[0-9]*/comm").split())
    left = endpoint.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert "sleep 424" not in left, "not even what had left the session"
    assert endpoint.version("hang") == "iF 2", "dpkg had the time to record the failure itself"


def test_lock_is_waited_for_and_its_holder_named(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("busy", "2"), first=(Built("busy", "1"),))
    transaction = endpoint.plan(("busy", "2"))
    with lock_held(endpoint, "/var/lib/dpkg/lock-frontend"):
        assert endpoint.provider.health().lock_holder.startswith("python3 (pid ")
        result = endpoint.apply(transaction, Bounds(lock_wait_s=1))
    assert (result.outcome, result.code) == (Outcome.REFUSED, "lock_timeout")
    assert "/var/lib/dpkg/lock-frontend has been held by python3 (pid " in result.detail
    assert endpoint.version("busy") == "ii 1"
    assert any(line.startswith("Waiting for python3 (pid ") for line in endpoint.said)
    assert endpoint.apply(transaction, number=2).outcome is Outcome.INSTALLED


def test_too_little_space_is_known_before_anything_is_changed(repository: Repository) -> None:
    with clone(size_mib=140) as endpoint:
        big = Built("big", "2", files={"/usr/lib/big": b"x" * 30_000_000}, fields={"Installed-Size": "30000"})
        prepare(endpoint, repository, big, first=(Built("big", "1"),))
        endpoint.sh("fallocate -l 40M /filler")
        refused = endpoint.refusal(("big", "2"))
        assert refused.code == "no_space"
        assert "/ has " in refused.reason
        assert "kept in reserve" in refused.reason
        endpoint.sh("rm /filler")
        transaction = endpoint.plan(("big", "2"), bounds=Bounds(disk_reserve_bytes=0))
        endpoint.sh("fallocate -l 60M /filler")
        result = endpoint.apply(transaction)
        assert (result.outcome, result.code) == (Outcome.REFUSED, "no_space")
        assert endpoint.version("big") == "ii 1"


def test_disk_that_fills_up_in_mid_run_is_told_and_healed_when_space_is_back(repository: Repository) -> None:
    """The package lies about its size, so the check cannot see it coming."""
    with clone(size_mib=140) as endpoint:
        liar = Built("liar", "2", files={"/usr/lib/liar": b"x" * 60_000_000}, fields={"Installed-Size": "1"})
        prepare(endpoint, repository, liar, first=(Built("liar", "1"),))
        bounds = Bounds(disk_reserve_bytes=0)
        transaction = endpoint.plan(("liar", "2"), bounds=bounds)
        endpoint.sh("fallocate -l $(($(df --output=avail -k / | tail -1) - 75000))K /filler")
        result = endpoint.apply(transaction, bounds)
        assert (result.outcome, result.code, result.changes) == (Outcome.FAILED, "no_space", ()), result
        endpoint.sh("rm /filler")
        assert endpoint.version("liar") == "ii 1"
        assert endpoint.apply(transaction, bounds, number=2).outcome is Outcome.INSTALLED


def test_no_network_while_downloading_changes_nothing(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("far", "2"), first=(Built("far", "1"),))
    transaction = endpoint.plan(("far", "2"))
    repository.stop()
    result = endpoint.apply(transaction)
    assert (result.outcome, result.code) == (Outcome.REFUSED, "network"), result
    assert "could not be downloaded" in result.detail
    assert endpoint.version("far") == "ii 1"


def test_archive_that_does_not_fit_its_checksum_changes_nothing(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("forged", "2"), first=(Built("forged", "1"),))
    transaction = endpoint.plan(("forged", "2"))
    path = next(repository.directory.glob("forged_2_*.deb"))
    data = bytearray(path.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    result = endpoint.apply(transaction)
    assert (result.outcome, result.code) == (Outcome.REFUSED, "hash_mismatch"), result
    assert endpoint.version("forged") == "ii 1"


@pytest.mark.parametrize("moment", ["unpack", "configure"])
def test_dpkg_killed_in_mid_run_is_repaired_by_state(endpoint: Clone, repository: Repository, moment: str) -> None:
    """kill -9 of apt-get and dpkg while the preinst or postinst runs, as the kernel would when memory is short."""
    wait = "[ -e /tmp/once ] || { touch /tmp/once; kill -9 $(pgrep -x apt-get) $(pgrep -x dpkg); sleep 1; }"
    script = {"unpack": "preinst", "configure": "postinst"}[moment]
    prepare(endpoint, repository, Built("torn", "2", scripts={script: wait}), first=(Built("torn", "1"),))
    transaction = endpoint.plan(("torn", "2"))
    result = endpoint.apply(transaction)
    assert result.outcome is Outcome.INSTALLED, result
    assert "That took a repair: apt was killed (signal 9)" in result.detail
    assert result.health.healthy, "repaired, judged by state"
    assert endpoint.sh("dpkg --audit") == ""
    assert endpoint.version("torn") == "ii 2"


@pytest.mark.parametrize("end", ["cut off", pytest.param("failed", marks=pytest.mark.long)])
def test_half_configured_without_a_journal_is_finished_only_where_the_script_was_cut_off(
    endpoint: Clone, repository: Repository, end: str
) -> None:
    """Any run of dpkg puts its journal away; what the lost run had printed still tells the two apart."""
    cut = "touch /tmp/once; kill -9 $(pgrep -x apt-get) $(pgrep -x dpkg); sleep 1"
    first = cut if end == "cut off" else "touch /tmp/once; exit 7"
    script = f"[ -e /tmp/once ] || {{ {first}; }}"
    prepare(endpoint, repository, Built("torn", "2", scripts={"postinst": script}), first=(Built("torn", "1"),))
    transaction = endpoint.plan(("torn", "2"))
    result = endpoint.apply(transaction, Bounds(repair=False))
    assert (result.outcome, endpoint.version("torn")) == (Outcome.FAILED, "iF 2"), result
    eventually(lambda: "postinst" not in endpoint.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "postinst has ended")
    endpoint.sh('echo torn install | dpkg --set-selections; [ -z "$(ls /var/lib/dpkg/updates)" ]')
    healed = endpoint.provider.recover(order(transaction), endpoint.said.append)
    came_to = ("interrupted_repaired", "ii 2") if end == "cut off" else ("interrupted_broken", "iF 2")
    assert (healed.code, endpoint.version("torn")) == came_to, healed


def test_half_installed_package_is_told_and_healed_by_reinstalling(endpoint: Clone, repository: Repository) -> None:
    """iHR: every command of dpkg and apt says 0, and the package stays broken until it is installed again."""
    script = {"preinst": "[ -e /tmp/once ] || { touch /tmp/once; kill -9 $PPID; sleep 5; }"}
    prepare(endpoint, repository, Built("torn", "2", scripts=script), first=(Built("torn", "1"),))
    transaction = endpoint.plan(("torn", "2"))
    no_repair = Bounds(repair=False)
    result = endpoint.apply(transaction, no_repair)
    assert (result.outcome, result.code, endpoint.version("torn")) == (Outcome.FAILED, "killed", "iHR 1")
    assert result.health.problems == (
        "dpkg was interrupted and has not finished; it needs `dpkg --configure -a`",
        "torn: half-installed (iHR), needs reinstallation",
    )
    assert endpoint.refusal(("torn", "2")).code == "unhealthy"
    eventually(lambda: "preinst" not in endpoint.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), "preinst has ended")
    healed = endpoint.provider.recover(order(transaction), endpoint.said.append)
    assert (healed.outcome, healed.code) == (Outcome.INTERRUPTED, "interrupted_repaired"), healed
    assert (endpoint.version("torn"), healed.health.problems) == ("ii 2", ())
