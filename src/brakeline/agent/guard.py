"""Owns one command and everything it starts: on time-out the whole tree ends, not only its first process.

Run as a program of its own (`python3 -I -S -c SOURCE …`), so it imports the standard library only. Killing apt-get
alone leaves dpkg and a maintainer script running; killing dpkg leaves a package half-installed. So a time-out first
ends what the spared programs (apt-get, dpkg) wait for: they then record the failure and end by themselves; what is
still there after the grace is terminated, then killed. Orphans come back here (PR_SET_CHILD_SUBREAPER).

Arguments: REPORT_FD TIMEOUT_S GRACE_S SPARED(comma-separated names) -- COMMAND…
With OUTPUT_MAX in the environment, a command that has said more bytes ends as on time-out, and the rest is cut off.
The report is one JSON object: {"rc": int, "timed_out": bool, "killed": [names], "flooded": bool}; rc is negative for a
signal. What a daemon that outlives the command prints is nobody's: it is not waited for.
"""

import ctypes
import json
import os
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
POLL_S = 0.02
TERM_GRACE_S = 2.0
OUTPUT_MAX = "BRAKELINE_OUTPUT_MAX"


def descendants() -> dict[int, str]:
    """Pid -> name of everything below this process, by the parent links in /proc."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                    head, _, tail = f.read().rpartition(")")
            except OSError:
                continue  # it has ended meanwhile
            state, parent = tail.split()[:2]
            if state != "Z":
                parents[int(entry)] = int(parent)
                names[int(entry)] = head.partition("(")[2]
    mine = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return {pid: names[pid] for pid in mine - {os.getpid()}}


def send(pids: list[int], sign: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            continue


def reap(main: int, seen: list[int]) -> None:
    """Collect ended children; the main one's wait status is put into `seen`."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if pid == main:
            seen.append(status)


def wait_until(deadline: float, main: int, seen: list[int], *, whole_tree: bool) -> bool:
    """True when the main process (or the whole tree) has ended before the deadline."""
    while time.monotonic() < deadline:
        reap(main, seen)
        if seen and (not whole_tree or not descendants()):
            return True
        time.sleep(POLL_S)
    return False


def end_tree(main: int, seen: list[int], grace_s: float, spared: frozenset[str]) -> list[str]:
    """Three steps, each bounded; returns the names of what was ended."""
    ended = []
    tree = descendants()
    victims = [pid for pid, name in tree.items() if name not in spared]
    if len(victims) < len(tree):
        ended += [tree[pid] for pid in victims]
        send(victims, signal.SIGKILL)
        if wait_until(time.monotonic() + grace_s, main, seen, whole_tree=True):
            return ended
    for sign in (signal.SIGTERM, signal.SIGKILL):
        tree = descendants()
        ended += tree.values()
        send(list(tree), sign)
        if wait_until(time.monotonic() + TERM_GRACE_S, main, seen, whole_tree=True):
            break
    return ended


def start(command: list[str]) -> int:
    """The command as a child in its own session (no terminal, so nothing can prompt on one)."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.execvp(command[0], command)
        except OSError as e:
            os.write(2, f"{command[0]}: {e.strerror}\n".encode())
        os._exit(127)
    return pid


def flooded(size_max: int) -> bool:
    """Whether the output's file is longer than it may become; what is beyond it is cut off. 0 = no bound."""
    if not size_max or os.fstat(1).st_size <= size_max:
        return False
    os.ftruncate(1, size_max)
    return True


def guard(report_fd: int, timeout_s: float, grace_s: float, spared: frozenset[str], command: list[str]) -> None:
    """Run the command to its end or to the time-out and report."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda sign, _: stopped.append(sign))
    os.set_inheritable(report_fd, False)
    size_before = os.fstat(1).st_size
    main = start(command)
    seen: list[int] = []
    flood = False
    deadline = time.monotonic() + timeout_s
    bytes_max = int(os.environ.get(OUTPUT_MAX, "0"))
    size_max = size_before + bytes_max if bytes_max else 0  # of what others had said into that file, nothing counts
    step = 0.05 if bytes_max else 0.5
    while not seen and not stopped and time.monotonic() < deadline and not (flood := flooded(size_max)):
        wait_until(min(deadline, time.monotonic() + step), main, seen, whole_tree=False)
    timed_out = not seen
    killed = end_tree(main, seen, grace_s, spared) if timed_out else []
    flood = flooded(size_max) or flood
    rc = os.waitstatus_to_exitcode(seen[0]) if seen else -signal.SIGKILL
    report = {"rc": rc, "timed_out": timed_out, "killed": killed, "flooded": flood and timed_out}
    os.write(report_fd, json.dumps(report).encode())


if __name__ == "__main__":
    split = sys.argv.index("--")
    fd, timeout, grace, spare = sys.argv[1:split]
    guard(int(fd), float(timeout), float(grace), frozenset(spare.split(",")), sys.argv[split + 1 :])
