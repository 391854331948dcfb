"""The words of events: what happened, who gets it, what could not be delivered. Frozen, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `sequence` rises by one within an organisation."""

    tenant_id: str
    sequence: int
    at_ms: int
    kind: str  # "rollout.brake", "finding.closed"
    subject: str  # id of what it is about
    data: dict[str, Any]

    @property
    def id(self) -> str:
        """The same however often it is delivered."""
        return f"{self.tenant_id}-{self.sequence}"


@dataclass(frozen=True, slots=True)
class Sink:
    """A receiver. Times are Unix milliseconds, 0 = never, or now."""

    id: str
    name: str
    address: str  # https://…, syslog+tls://host:port or syslog+tcp://host:port
    kinds: tuple[str, ...]  # "rollout.*"; none = everything
    made_ms: int
    made_by: str
    generation: int  # of its key
    delivered: int  # sequence up to which it has everything, or a dead letter of it
    tries: int = 0  # of the next one
    next_ms: int = 0  # not before
    problem: str = ""
    worked_ms: int = 0

    @property
    def is_webhook(self) -> bool:
        return self.address.startswith("http")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What a receiver did not take, and why it was given up. `event` None: it was too old to be kept."""

    sink_id: str
    sequence: int
    at_ms: int
    problem: str
    tries: int
    event: Event | None = None
