"""Words of the run log: one transaction's run, its commands, a change of installed software with its author."""

from __future__ import annotations

from dataclasses import dataclass, field

from brakeline.fleet.history import Changed
from brakeline.protocol.messages import RunEntry


@dataclass(frozen=True, slots=True)
class Run:
    """One transaction on one endpoint, as far as its log has come."""

    transaction_id: str
    endpoint_id: str
    offer_id: str
    rollout_id: str
    began_ms: int  # when the cell heard of it first
    heard_ms: int
    ended_ms: int = 0  # 0 = its last entry is not here
    next: int = 1
    bytes: int = 0
    missing: int = 0  # entries that the endpoint has lost
    refused: bool = False  # longer than a log may be


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, as its result says; "" = no result yet."""

    outcome: str = ""
    code: str = ""
    detail: str = ""
    ended_ms: int = 0
    title: str = ""  # of the rollout
    log_tail: str = ""  # for runs of agents that send no log


@dataclass(frozen=True, slots=True)
class Command:
    """One process that the transaction started. `rc` None = it has not ended, or nobody knows."""

    number: int
    at_ms: int
    argv: tuple[str, ...]
    rc: int | None = None
    took_ms: int = 0
    lines: int = 0  # of output that are here
    note: str = ""


@dataclass(frozen=True, slots=True)
class RunView:
    """A run for people: `state` is running | ended | silent (its endpoint stopped telling), `note` what is missing."""

    run: Run
    outcome: Outcome
    state: str
    note: str
    commands: tuple[Command, ...] = ()
    entries: tuple[RunEntry, ...] = ()
    following: int = 1  # number of the entry after the last one that is here


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a change: a deployment of ours; `rollout_id` "" = somebody or something outside of Brakeline."""

    rollout_id: str = ""
    title: str = ""


OUTSIDE = Author(title="outside of Brakeline")


@dataclass(frozen=True, slots=True)
class ChangedBy:
    """A change of installed software, with who made it and the newest moment at which it was certain."""

    name: str
    architecture: str
    before: str
    after: str
    kind: str  # installed | removed | changed
    at_ms: int
    author: Author = OUTSIDE


@dataclass(frozen=True, slots=True)
class Story:
    """What changed on an endpoint in a span of time. `told`: in one sentence each, what of it cannot be known."""

    endpoint_id: str
    since_ms: int
    until_ms: int
    changes: tuple[ChangedBy, ...]
    told: tuple[str, ...] = ()
    begins_ms: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """What one result says it changed."""

    rollout_id: str
    title: str
    at_ms: int
    changes: tuple[Changed, ...] = field(default=())
