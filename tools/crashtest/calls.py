"""Which system calls an update makes, read from strace's log, and the faults that are made of them. Pure.

strace counts per process, so a fault names its process: `launcher`, `look` (the check), `keeper` and `giver` (what
reads and writes files of the agent's home, see `launcher.keepsake`) or `release`. `Fault`: what is done to one call.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

WRITERS = ("write", "pwrite64", "fsync", "fdatasync", "rename", "openat", "unlink", "unlinkat", "mkdir", "rmdir")
OTHERS = ("execve", "socket", "connect", "sendto", "recvfrom", "read")
TRACED = (*WRITERS, *OTHERS)
ERRORS = ("ENOSPC", "EIO", "EROFS", "EACCES")
PROCESSES = ("launcher", "look", "keeper", "giver", "release")
KILL = "KILL"
LINE = re.compile(r"^(?:(\d+) +)?(\w+)\((.*)")
FIRED = ("(INJECTED)", "killed by SIGKILL")


@dataclass(frozen=True, slots=True)
class Call:
    """The `n`-th call of this name in this process."""

    process: str
    name: str
    n: int
    what: str = ""  # its arguments, for people


@dataclass(frozen=True, slots=True)
class Fault:
    """`how`: KILL, or the error that the call ends with. `lasting`: and every later call of that name."""

    call: Call
    how: str
    lasting: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """Of strace."""
        what = "signal=KILL" if self.how == KILL else f"error={self.how}"
        name = self.call.name
        return ("-e", f"trace={name}", "-e", f"inject={name}:{what}:when={self.call.n}{'+' if self.lasting else ''}")

    def __str__(self) -> str:
        since = " and all after it" if self.lasting else ""
        return f"{self.how} at {self.call.process}'s {self.call.name} no. {self.call.n}{since}"


def recorded(process: str, log: str) -> list[Call]:
    """Every call of the process itself (not of its forks) that is worth a fault."""
    counted: Counter[str] = Counter({"execve": -1})  # strace does not count the first, its own
    calls: list[Call] = []
    itself, empty = "", 0
    for line in log.splitlines():
        match = LINE.match(line)
        if match is None:
            continue
        pid, name, arguments = match.group(1) or "", match.group(2), match.group(3)
        itself = itself or pid
        if pid != itself or name not in TRACED:
            continue
        counted[name] += 1
        empty += name == "read" and "EAGAIN" in arguments
        if _counts(name, counted[name], arguments):
            calls.append(Call(process, name, counted[name], arguments[:160]))
    reads = [call for call in calls if call.name == "read"]
    not_in_every_run = reads[len(reads) - empty :]  # the network had nothing yet, and was asked again
    return [call for call in calls if call not in not_in_every_run]


def _counts(name: str, n: int, arguments: str) -> bool:
    """Of the many `openat` and `read`: those that make files, and those of the network."""
    if name == "openat":
        return "O_CREAT" in arguments
    if name == "execve":
        return n > 0
    if name == "read":
        return "<TCP" in arguments.partition(",")[0]
    return True


def kills(calls: Iterable[Call]) -> list[Fault]:
    """A kill at each call."""
    return [Fault(call, KILL) for call in calls]


def errors(calls: Iterable[Call]) -> list[Fault]:
    """Each error at each call that writes; and from the first of its name on, for ever."""
    writers = [call for call in calls if call.name in WRITERS]
    first = {(call.process, call.name): call for call in reversed(writers)}
    lasting = [Fault(call, error, lasting=True) for call in first.values() for error in ERRORS]
    return [Fault(call, error) for call in writers for error in ERRORS] + lasting


def sample(faults: Iterable[Fault]) -> list[Fault]:
    """The first, middle and last call of each name in each process for each kind of fault; errors take turns."""
    groups: dict[tuple[str, str, bool, bool], list[Fault]] = {}
    for fault in faults:
        groups.setdefault((fault.call.process, fault.call.name, fault.how == KILL, fault.lasting), []).append(fault)
    chosen: list[Fault] = []
    for turn, group in enumerate(groups.values()):
        calls = list(dict.fromkeys(fault.call for fault in group))
        for call in dict.fromkeys((calls[0], calls[len(calls) // 2], calls[-1])):
            several = [fault for fault in group if fault.call == call]
            chosen.append(several[(turn + len(chosen)) % len(several)])
    return chosen


def has_fired(log: str) -> bool:
    """Whether strace did what it was told."""
    return any(word in log for word in FIRED)
