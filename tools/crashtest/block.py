"""Power cuts below the file system: the launcher's root is an ext4 of its own on a loop device.

At the n-th write or sync of an update everything is killed and the backing file is copied. What was not synced is still
in the page cache of the mounted file system and never reaches the copy: that makes it a power cut. The copy is mounted
(its journal is replayed), the host boots again (another boot_id), the launcher is started: the same promises as in
`real`. `unsynced` shows that lost syncs would be noticed. Needs root and loop devices.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.crashtest import calls
from tools.crashtest.calls import KILL, WRITERS, Call, Fault
from tools.crashtest.real import Tally, record, unfired
from tools.crashtest.rig import ENDS_S, Machine, Rig, wait

SIZE_MIB = 24
NOTHING_SYNCED = ("-e", "trace=write,fsync,fdatasync", "-e", "inject=fsync,fdatasync:retval=0")


def lacks(place: Path) -> str:
    """What is missing to mount an ext4 here, "" = nothing."""
    if not shutil.which("mkfs.ext4"):
        return "programs: mkfs.ext4"
    probe = place / "probe"
    probe.mkdir(exist_ok=True)
    try:
        _make(probe.with_suffix(".img"), probe)
        _run("mount", "-o", "loop", str(probe.with_suffix(".img")), str(probe))
        _run("umount", str(probe))
    except subprocess.CalledProcessError as e:
        return f"ext4 on a loop device: {e.stderr.decode(errors='replace').strip()}"
    finally:
        probe.with_suffix(".img").unlink(missing_ok=True)
    return ""


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _make(image: Path, content: Path) -> None:
    _run("truncate", "-s", f"{SIZE_MIB}M", str(image))
    _run("mkfs.ext4", "-q", "-O", "^resize_inode", "-E", "lazy_itable_init=1", "-d", str(content), str(image))


@contextlib.contextmanager
def _mounted(image: Path, at: Path) -> Iterator[None]:
    _run("mount", "-o", "loop", str(image), str(at))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(at)], check=False, capture_output=True)


def points(rig: Rig) -> list[Fault]:
    """A cut before each call by which launcher or look change the launcher's root."""
    return calls.kills(c for c in record(rig) if c.process in ("launcher", "look") and c.name in WRITERS)


def cut(rig: Rig, fault: Fault, name: str, more: tuple[str, ...] = ()) -> Tally:
    """One run. `more`: of strace, for planted faults."""
    story = f"{rig.character} release: the power goes at {fault.call.process}'s {fault.call.name} no. {fault.call.n}"
    tally = Tally(injected_runs=1)
    with rig.machine(name) as machine:
        before, after = machine.base / "before.img", machine.base / "after.img"
        _make(before, rig.template.root)
        shutil.rmtree(machine.root)
        machine.root.mkdir()
        machine.cut = True
        machine.plant(fault)
        machine.tracing += more
        try:
            with _mounted(before, machine.root):
                machine.boot()
                machine.start()
                wait(machine.has_ended, ENDS_S)
                shutil.copyfile(before, after)
                tally.fired = int(machine.has_fired(fault))
                machine.power_cut()
            with _mounted(after, machine.root):
                _next_boot(machine, story, tally)
        finally:
            machine.power_cut()
    return tally


def _next_boot(machine: Machine, story: str, tally: Tally) -> None:
    machine.tracing = ()
    for leftover in (machine.plan / name for name in ("launcher", "look")):
        leftover.unlink(missing_ok=True)  # a look that was not reached
    machine.boot()
    machine.start()
    if not wait(machine.is_well, ENDS_S):
        tally.needed_a_hand.append(f"{story}\n{machine.report()}\n{machine.log()[-2000:]}")
        if machine.character == "good":
            tally.good_lost.append(story)
    if machine.ran_too_often():
        tally.bad_ran_more_than_three.append(story)
    machine.power_cut()


def unsynced(rig: Rig) -> Tally:
    """A crashing release, a launcher whose syncs do nothing, and the power goes after the last execution."""
    last = [f.call for f in points(rig) if f.call.process == "launcher" and f.call.name == "write"][-1]
    fault = Fault(Call("launcher", "write", last.n), KILL)
    return cut(rig, fault, "unsynced", NOTHING_SYNCED)


def run(rig: Rig, faults: Iterable[Fault], jobs: int = 2, say: Callable[[str], None] = lambda _: None) -> Tally:
    """All cuts, some at a time. One that did not fire is repeated once; it counts when it does."""
    total = Tally()
    listed = list(faults)

    def one(numbered: tuple[int, Fault]) -> Tally:
        number, fault = numbered
        for again in range(2):
            tally = cut(rig, fault, f"cut-{number}-{again}")
            if tally.fired or tally.needed_a_hand:
                return tally
        return unfired(rig, fault, f"{rig.character} release: power cut: {fault}")

    with ThreadPoolExecutor(jobs) as pool:
        for done, tally in enumerate(pool.map(one, enumerate(listed)), 1):
            total.add(tally)
            if done % 50 == 0 or done == len(listed):
                say(f"{rig.character}: {done} of {len(listed)} power cuts")
    return total
