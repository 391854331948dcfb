"""Child processes: no terminal, no input, one language, and a time-out that ends all of them."""

from __future__ import annotations

import os
import time
from pathlib import Path

from brakeline.agent.guard import OUTPUT_MAX
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.ended import FLOODED

MACHINE = Machine(stop_grace_s=0.5)


def alive(marker: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker in path.read_bytes().decode("utf-8", "replace").replace("\0", " "):
                found.append(path.parent.name)
        except OSError:
            continue
    return [pid for pid in found if pid != str(os.getpid())]


def test_children_cannot_be_asked_anything() -> None:
    for run in (MACHINE.query, lambda *c: MACHINE.job(*c, timeout_s=10)):
        ran = run("sh", "-c", "cat; [ -t 0 ] || echo no terminal; (: < /dev/tty) 2>/dev/null || echo no tty; env")
        assert ran.rc == 0
        lines = ran.text.splitlines()
        assert lines[:2] == ["no terminal", "no tty"]
        for setting in ("DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "NEEDRESTART_SUSPEND=1"):
            assert setting in lines


def test_query_that_hangs_is_killed() -> None:
    started = time.monotonic()
    ran = MACHINE.query("sh", "-c", "echo begun; sleep 731.1", timeout_s=0.5)
    assert (ran.timed_out, ran.text) == (True, "begun\n")
    assert time.monotonic() - started < 5
    assert alive("sleep 731.1") == []


def test_job_that_hangs_is_ended_with_orphans_in_other_sessions() -> None:
    ran = MACHINE.job("sh", "-c", "setsid sh -c 'sleep 731.2 & sleep 731.2' & sleep 731.2", timeout_s=0.5)
    assert ran.timed_out
    assert "sleep" in ran.killed
    assert alive("sleep 731.2") == []


def test_job_that_prints_without_end_is_ended_and_its_file_is_bounded(tmp_path: Path) -> None:
    """What others had said into the same log before counts for nobody: a repair after it has its own bound."""
    with open(tmp_path / "log", "w+b") as log:
        log.write(b"x" * 100_000)
        log.flush()
        small = {OUTPUT_MAX: "50000"}
        ran = MACHINE.job("sh", "-c", "yes 731.4 & wait", timeout_s=60, log=log, environment=small)
        assert (ran.timed_out, ran.text.startswith("731.4\n"), ran.text.rstrip().endswith(FLOODED)) == (
            True,
            True,
            True,
        )
        assert "yes" in ran.killed
        assert os.fstat(log.fileno()).st_size == 150_000
        quiet = MACHINE.job("echo", "done", timeout_s=60, log=log, environment=small)
        assert (quiet.rc, quiet.timed_out, quiet.text) == (0, False, "done\n")
    assert alive("yes 731.4") == []


def test_job_that_ends_leaves_its_daemons_alone_and_does_not_wait_for_them() -> None:
    started = time.monotonic()
    ran = MACHINE.job("sh", "-c", "echo done; setsid sleep 7.313 & exit 3", timeout_s=60)
    assert (ran.rc, ran.timed_out, ran.text, ran.killed) == (3, False, "done\n", ())
    assert time.monotonic() - started < 5
    (pid,) = alive("sleep 7.313")
    os.kill(int(pid), 9)


def test_job_that_cannot_be_started_says_so() -> None:
    ran = MACHINE.job("/no/such/program", timeout_s=5)
    assert (ran.rc, "No such file" in ran.text) == (127, True)
