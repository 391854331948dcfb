"""The agent's limits, proven by children that try to exceed them. The parent lives in every case."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support import require

from brakeline.agent import limits
from brakeline.agent.errands import Errands
from brakeline.agent.limits import MIB, DiskReserve

TIGHT = (
    "from brakeline.agent.limits import *; {become} restrain(ProcessLimits({memory}, 32, {processes}, 4 * MIB, {cpu}));"
)
NOBODY_ELSE = "import os; os.setgroups([]); os.setgid(64321); os.setuid(64321);"  # a user with no other process
CGROUP = Path("/sys/fs/cgroup")


def greedy(
    code: str, memory: int = 1024 * MIB, processes: int = 64, cpu: int = 60, become: str = ""
) -> subprocess.CompletedProcess[str]:
    """A process under limits that then does `code`."""
    program = TIGHT.format(memory=memory, processes=processes, cpu=cpu, become=become) + code
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def test_memory() -> None:
    done = greedy("x = bytearray(600 * MIB)", memory=400 * MIB)
    assert "MemoryError" in done.stderr
    assert greedy("x = bytearray(100 * MIB)", memory=400 * MIB).returncode == 0


def test_processes() -> None:
    require(os.getuid() == 0, "root, to become a user whose processes are counted")
    code = "\nfor n in range(200): os.fork() or (__import__('time').sleep(3), os._exit(0))"
    done = greedy(code, processes=20, become=NOBODY_ELSE)
    assert "Resource temporarily unavailable" in done.stderr, done.stderr


def test_cpu() -> None:
    started = time.monotonic()
    done = greedy("\nwhile True: pass", cpu=1)
    assert done.returncode in (-signal.SIGXCPU, -signal.SIGKILL)
    assert time.monotonic() - started < 50


def test_disk(tmp_path: Path) -> None:
    target = tmp_path / "huge"
    done = greedy(f"import signal; open({str(target)!r}, 'wb').write(bytes(8 * MIB))")
    assert done.returncode != 0
    assert target.stat().st_size <= 4 * MIB


def test_open_files() -> None:
    done = greedy("x = [open('/dev/null') for _ in range(100)]")
    assert "Too many open files" in done.stderr


def test_limits_cannot_be_lifted_again_without_privilege() -> None:
    require(os.getuid() == 0, "root, to become a user without privilege")
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))"
    done = greedy(code, become=NOBODY_ELSE)
    assert "ValueError" in done.stderr


def test_it_is_modest() -> None:
    code = "be_modest(); idle_io(); import os; print(os.nice(0), open('/proc/self/oom_score_adj').read())"
    assert greedy(code).stdout.split() == ["19", "900"]
    idle = "idle_io(); import os, subprocess; print(subprocess.getoutput(f'ionice -p {os.getpid()}'))"
    assert greedy(idle).stdout.strip() == "idle"


@pytest.mark.parametrize(
    ("program", "seconds", "problem"),
    [
        ("import time; time.sleep(60)", 0.5, "took too long"),
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", 20, "said more than is allowed"),
        ("import os; os.kill(os.getpid(), 11)", 20, "SIGSEGV"),
        ("raise RuntimeError('no such luck')", 20, "RuntimeError: no such luck"),
        ("x = bytearray(4096 * 1024 * 1024)", 20, "MemoryError"),
    ],
    ids=["hangs", "floods", "crashes", "raises", "eats memory"],
)
def test_a_scan_that_goes_wrong_ends_with_a_reason_and_the_agent_goes_on(
    tmp_path: Path, program: str, seconds: float, problem: str
) -> None:
    limited = "from brakeline.agent import limits; limits.restrain(limits.SCAN)\n" + program
    errands = Errands([sys.executable, "-c", limited], tmp_path / "work")
    errands.start([], time.monotonic() + seconds)
    pid = errands.child.pid if errands.child else 0
    ended, until = None, time.monotonic() + 30
    while ended is None and time.monotonic() < until:
        ended = errands.look(time.monotonic())
        time.sleep(0.02)
    assert ended is not None
    assert problem in ended.problem
    assert not Path(f"/proc/{pid}").exists()
    assert errands.child is None


def test_what_a_scan_leaves_behind_is_ended_with_it(tmp_path: Path) -> None:
    program = "import os, time; pid = os.fork(); print(pid) if pid else time.sleep(100)"
    errands = Errands(
        [
            sys.executable,
            "-u",
            "-c",
            "import sys\n" + program.replace("time.sleep(100)", "(os.close(1), time.sleep(100))"),
        ],
        tmp_path / "w",
    )
    errands.start([], time.monotonic() + 20)
    ended = None
    while ended is None:
        ended = errands.look(time.monotonic())
        time.sleep(0.02)
    orphan = int(ended.output)
    until = time.monotonic() + 5
    while _alive(orphan) and time.monotonic() < until:
        time.sleep(0.02)
    assert not _alive(orphan)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_disk_reserve_is_real_and_given_up_once(tmp_path: Path) -> None:
    reserve = DiskReserve(tmp_path / "reserve")
    assert reserve.keep()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= limits.DISK_RESERVE_BYTES
    assert reserve.give_up()
    assert not reserve.give_up()


def test_on_a_full_disk_a_result_still_finds_room(tmp_path: Path) -> None:
    require(os.getuid() == 0, "root, to mount a small file system")
    from tests.integration.agent.crashing import result, tx

    from brakeline.agent.spool import Spool

    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(small)], check=True)
    try:
        reserve = DiskReserve(small / "reserve")
        assert reserve.keep()
        spool = Spool(small / "spool", reserve)
        with (small / "filler").open("wb") as f, suppress(OSError):
            f.write(bytes(4 * MIB))
        assert os.statvfs(small).f_bavail == 0
        spool.put(result(1))
        assert spool.pending() == (tx(1),)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_the_units_memory_limit_ends_the_scan_and_not_the_agent(tmp_path: Path) -> None:
    """As systemd's MemoryMax with OOMPolicy=continue: one cgroup for both, the larger one with the worse score goes."""
    group = CGROUP / "memory" / f"brakeline-test-{os.getpid()}"
    require(os.getuid() == 0 and (CGROUP / "memory" / "cgroup.procs").exists(), "cgroup version 1 that can be written")
    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(96 * MIB))
        program = (
            "import os, sys, time\n"
            f"open({str(group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
            "pid = os.fork()\n"
            "if pid == 0:\n x = bytearray(400 * 1024 * 1024)\n os._exit(0)\n"
            "_, status = os.waitpid(pid, 0)\n"
            "print(os.waitstatus_to_exitcode(status), 'and the parent lives')\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert done.stdout.split(" ", 1)[0] == "-9", done
        assert "the parent lives" in done.stdout
    finally:
        time.sleep(0.2)
        group.rmdir()
