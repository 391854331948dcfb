"""The real launcher broken at its system calls: one run for each fault, then it is started again untouched.

A recording run tells which calls an update makes. A run counts only if strace says that its fault fired. In the end,
with nobody's help: a good release is confirmed and runs; a bad one has run three times at most, is quarantined, and the
last good one runs. Next: `calls` (which faults), `rig` (the endpoint).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from tools.crashtest import calls
from tools.crashtest.calls import PROCESSES, Call, Fault
from tools.crashtest.rig import ENDS_ITSELF_S, ENDS_S, Machine, Rig, wait

LATE_S = 2.0  # for calls that come after the goal is reached
AGAIN_MAX = 3  # the number of reads from a network differs by one or two between runs
RECORDING: Final = threading.Lock()  # recordings have a directory of their own, all the same one


@dataclass
class Tally:
    """What the runs came to."""

    injected_runs: int = 0
    fired: int = 0
    gone: int = 0  # faults at calls that a later recording does not have: slow runs make more of them
    healed_unaided: int = 0  # before the launcher was started again
    not_fired: list[str] = field(default_factory=list)
    needed_a_hand: list[str] = field(default_factory=list)
    bad_ran_more_than_three: list[str] = field(default_factory=list)
    good_lost: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("injected_runs", "fired", "gone", "healed_unaided"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("not_fired", "needed_a_hand", "bad_ran_more_than_three", "good_lost"):
            getattr(self, name).extend(getattr(other, name))


def record(rig: Rig) -> list[Call]:
    """Every call that one whole update always makes, from the start of the launcher to the end of the story.

    A slow run writes some reports more: a fault at such a call would not happen in the next run, so two are compared.
    """
    again = {(c.process, c.name, c.n) for c in _recorded(rig)}
    return [c for c in _recorded(rig) if (c.process, c.name, c.n) in again]


def unfired(rig: Rig, fault: Fault, story: str) -> Tally:
    """What a fault came to that did not happen however often: it counts against us, unless the call exists no more."""
    call = fault.call
    with RECORDING:
        made = record(rig)
    if (call.process, call.name, call.n) in {(c.process, c.name, c.n) for c in made}:
        return Tally(injected_runs=1, not_fired=[story])
    return Tally(gone=1)


def _recorded(rig: Rig) -> list[Call]:
    found: list[Call] = []
    for several in (("launcher",), tuple(p for p in PROCESSES if p != "launcher")):
        with rig.machine(f"recording-{several[0]}") as machine:
            for process in several:
                machine.record_calls(process)
            machine.boot()
            machine.start()
            machine.until(machine.is_well, ENDS_S, f"an update to a release of the kind {rig.character}")
            found += [call for process in several for call in calls.recorded(process, machine.traced(process))]
    return found


def everything(rig: Rig) -> list[Fault]:
    """Kills at each call. Errors at each call that writes; the look's only once, it is the same for every release."""
    found = record(rig)
    look_too = rig.character == "good"
    return calls.kills(found) + calls.errors(c for c in found if look_too or c.process != "look")


def strike(rig: Rig, fault: Fault, name: str) -> Tally:
    """One run."""
    story = f"{rig.character} release: {fault}"
    tally = Tally(injected_runs=1)
    with rig.machine(name) as machine:
        machine.plant(fault)
        machine.boot()
        machine.start()
        tally.healed_unaided = int(_first_life(machine, fault))
        tally.fired = int(wait(lambda: machine.has_fired(fault), LATE_S))
        machine.end_unit()
        machine.tracing = ()
        machine.start()
        if not wait(machine.is_well, ENDS_S):
            tally.needed_a_hand.append(f"{story}\n{machine.report()}\n{machine.log()[-2000:]}")
            if machine.character == "good":
                tally.good_lost.append(story)
        if machine.ran_too_often():
            tally.bad_ran_more_than_three.append(story)
    return tally


def _first_life(machine: Machine, fault: Fault) -> bool:
    """With the fault; whether it came to a good end without being started again."""
    if fault.lasting:
        wait(lambda: machine.has_fired(fault) and machine.runs("1.0.0") + machine.runs("2.0.0") > 0, ENDS_ITSELF_S)
    wait(lambda: machine.is_well() or machine.has_ended(), 1.0 if fault.lasting else ENDS_ITSELF_S)
    return machine.is_well()


def run(rig: Rig, faults: Iterable[Fault], jobs: int = 2, say: Callable[[str], None] = lambda _: None) -> Tally:
    """All runs, some at a time. One whose fault did not fire is repeated; it counts when it does."""
    total = Tally()
    listed = list(faults)

    def one(numbered: tuple[int, Fault]) -> Tally:
        number, fault = numbered
        for again in range(AGAIN_MAX):
            tally = strike(rig, fault, f"run-{number}-{again}")
            if tally.fired or tally.needed_a_hand:
                return tally
        return unfired(rig, fault, f"{rig.character} release: {fault}")

    with ThreadPoolExecutor(jobs) as pool:
        for done, tally in enumerate(pool.map(one, enumerate(listed)), 1):
            total.add(tally)
            if done % 50 == 0 or done == len(listed):
                say(f"{rig.character}: {done} of {len(listed)} runs")
    return total
