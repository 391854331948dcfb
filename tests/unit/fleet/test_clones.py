"""Histories of whole exchanges: an honest machine is never taken for two, and two are found within a few exchanges.

A small cell made of the real decisions, and machines that count, renew, retry and jump ahead as the agent does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.agent.identity import COUNTER_BLOCK, COUNTER_SKIP
from brakeline.fleet.decide import RECENT_KEPT, Accept, Cloned, decide_counter, decide_outdated
from brakeline.fleet.enrolment import OUTDATED_KEPT
from brakeline.fleet.model import CounterState

FOUND_WITHIN = 12  # exchanges of both together, once they take turns


@dataclass(frozen=True)
class Message:
    """`secret` 0: signed. `words` stands for what makes two messages under one counter differ."""

    boot: str
    counter: int
    secret: int
    words: str

    @property
    def digest(self) -> str:
        return f"{self.counter} {self.secret} {self.words}"


@dataclass
class Cell:
    """As `server.agent_plane` and `fleet` do it; secrets and the counters of check-ins die with the process."""

    hears_outdated: bool = True
    state: CounterState = field(default_factory=CounterState)
    durable: CounterState = field(default_factory=CounterState)
    secrets: tuple[int, ...] = ()
    issued: int = 0
    cloned: str = ""

    def hear(self, m: Message) -> str | int:
        """A secret for a renewal; else ok | secret-expired | replayed | cloned."""
        if m.secret and m.secret not in self.secrets[:1]:
            if m.secret in self.secrets and self.hears_outdated:
                verdict = decide_outdated(self.state, m.boot, m.counter, m.digest)
                self.state = verdict.state if isinstance(verdict, Accept) else self.state
                self.cloned = verdict.reason if isinstance(verdict, Cloned) else self.cloned
            return "cloned" if self.cloned else "secret-expired"
        verdict = decide_counter(self.state, m.boot, m.counter, m.digest)
        if isinstance(verdict, Cloned):
            self.cloned = verdict.reason
        if not isinstance(verdict, Accept):
            return "cloned" if self.cloned else "replayed"
        self.state = verdict.state
        if m.secret:
            return "ok"
        self.durable, self.issued = self.state, self.issued + 1
        self.secrets = (self.issued, *self.secrets)[: OUTDATED_KEPT + 1]
        return self.issued

    def restart(self) -> None:
        self.state, self.secrets = self.durable, ()


@dataclass
class Machine:
    """One machine with its own counter file; `on_disk` is the first number that no run has used."""

    name: str
    boot: str = "b"
    on_disk: int = 1
    following: int = 1
    secret: int = 0
    failures: int = 0
    said: int = 0

    def speak(self) -> Message:
        if self.following >= self.on_disk:
            self.on_disk = self.following + COUNTER_BLOCK
        self.said += 1
        message = Message(self.boot, self.following, self.secret, f"{self.name} {self.said}")
        self.following += 1
        return message

    def learn(self, answer: str | int) -> None:
        """What `agent.decide` and `agent.agenda` make of an answer; "" = none came."""
        if isinstance(answer, int):
            self.secret = answer
        if answer == "secret-expired":
            self.secret = 0
        if answer == "replayed" and self.failures:
            self.following += COUNTER_SKIP
            self.on_disk = self.following + COUNTER_BLOCK
        self.failures = 0 if isinstance(answer, int) or answer == "ok" else self.failures + 1

    def kill(self) -> None:
        self.following, self.secret, self.failures = self.on_disk, 0, 0

    def exchange(self, cell: Cell) -> None:
        self.learn(cell.hear(self.speak()))


# --- one machine ---------------------------------------------------------------------------------------------------

EVENTS = ("exchange", "request lost", "answer lost", "sent twice", "repeated later", "killed", "server", "booted")


def live(cell: Cell, machine: Machine, events: Iterable[tuple[str, int]]) -> None:
    later: list[tuple[int, Message]] = []
    for turn, (event, delay) in enumerate(events):
        for due, message in [x for x in later if x[0] <= turn]:
            later.remove((due, message))
            cell.hear(message)
        if event == "killed":
            machine.kill()
        elif event == "server":
            cell.restart()
        elif event == "booted":
            machine.kill()
            machine.boot += "'"
            later.clear()  # its connections ended with it
        else:
            message = machine.speak()
            answer = "" if event == "request lost" else cell.hear(message)
            if event == "sent twice":
                cell.hear(message)
            if event == "repeated later":
                later.append((turn + delay, message))
            machine.learn("" if event == "answer lost" else answer)


@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(1, RECENT_KEPT - 1)), max_size=150))
def test_one_machine_is_never_taken_for_two(events: list[tuple[str, int]]) -> None:
    cell, machine = Cell(), Machine("one")
    live(cell, machine, events)
    assert not cell.cloned
    for _ in range(4):
        machine.exchange(cell)
    assert machine.failures == 0  # and it always gets through again


# --- two machines --------------------------------------------------------------------------------------------------


def twins(cell: Cell, before: int, *, cold: bool) -> tuple[Machine, Machine]:
    """One machine that has spoken `before` times, and its copy: resumed, or (cold) both started from one disk."""
    one = Machine("one")
    for _ in range(before):
        one.exchange(cell)
    other = replace(one, name="other")
    if cold:
        one.kill()
        other.kill()
    return one, other


@given(
    st.integers(1, 20), st.booleans(), st.booleans(),
    st.lists(st.sampled_from(["one", "other", "one killed", "other killed", "server"]), max_size=40),
)  # fmt: skip
def test_two_machines_are_found_once_they_take_turns(before: int, cold: bool, late: bool, history: list[str]) -> None:
    """Whatever each has done before, alone or in turn: from then on a dozen exchanges are enough."""
    cell = Cell()
    one, other = twins(cell, before, cold=cold)
    if late:
        other.kill()
    acts: dict[str, Callable[[], None]] = {
        "one": lambda: one.exchange(cell), "other": lambda: other.exchange(cell),
        "one killed": one.kill, "other killed": other.kill, "server": cell.restart,
    }  # fmt: skip
    for act in history:
        acts[act]()
    for _ in range(FOUND_WITHIN // 2):
        one.exchange(cell)
        other.exchange(cell)
    assert cell.cloned


LEAPS = 1000


def leap_frog(*, hears_outdated: bool) -> int:
    """Exchanges until twins are found that renew in turn, each over the counter of the other's refused check-in."""
    cell = Cell(hears_outdated)
    one = Machine("one")
    one.exchange(cell)
    other = replace(one, name="other")
    cell.restart()
    other.speak()  # lost on its way
    for count in range(LEAPS):
        (one, other)[count // 2 % 2].exchange(cell)
        if cell.cloned:
            return count + 1
    return LEAPS


def test_twins_that_renew_in_turn_cannot_pass_each_other_for_ever() -> None:
    assert leap_frog(hears_outdated=False) == LEAPS  # signed messages alone do not tell them from one machine
    assert leap_frog(hears_outdated=True) <= FOUND_WITHIN


HEARD = CounterState("b2", ((3, "c"), (5, "e"), (9, "i")), ("b1",))


@pytest.mark.parametrize(
    ("boot", "counter", "digest", "verdict"),
    [
        ("b2", 10, "x", "Accept"),  # its number is used up
        ("b2", 9, "i", "Duplicate"),
        ("b2", 9, "x", "Cloned"),  # the same number in two messages
        ("b2", 3, "x", "Cloned"),
        ("b2", 7, "x", "Late"),
        ("b2", 1, "x", "Late"),  # overtaken by the renewal after it, however far
        ("b1", 99, "x", "Late"),  # overtaken by a reboot
        ("b3", 1, "x", "Late"),  # secrets do not survive a boot: this moves nothing
    ],
)
def test_check_ins_under_a_replaced_secret(boot: str, counter: int, digest: str, verdict: str) -> None:
    assert type(decide_outdated(HEARD, boot, counter, digest)).__name__ == verdict
