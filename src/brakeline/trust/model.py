"""The words of trust: the documents that a launcher is handed, and what it may believe after verifying them.

All documents are UTF-8 text in TUF's envelope `{"signatures": [{"keyid", "sig"}], "signed": {...}}`, signed over the
canonical JSON of `signed`. Everything in `Documents` is untrusted until `assess.assess` has looked at it.
"""

from __future__ import annotations

from dataclasses import field

from brakeline.core.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Documents:
    """Raw texts, "" = not there. The same type is what the cell serves, what the launcher caches, what a file holds."""

    roots: tuple[str, ...] = ()  # successors of the pinned root, ascending
    timestamp: str = ""
    snapshot: str = ""
    targets: str = ""
    content: str = ""  # targets role delegated for endpoint content
    recall: str = ""
    time: str = ""  # the cell's time, over our nonce
    leases: tuple[str, ...] = ()  # offer leases, each with the conductor's grant inside
    follow: str = ""  # signed order to this endpoint's launcher; arrives by the agent


@dataclass(frozen=True, slots=True)
class Who:
    """The endpoint that asks, from its configuration. None of it is secret."""

    endpoint_id: str
    cell: str
    region: str
    platform: str = "any"
    product: str = "agent"
    channel: str = "stable"  # of releases, as told at enrolment; a follow order may name another
    also: tuple[str, ...] = ()  # further products that are asked for in the same look


@dataclass(frozen=True, slots=True)
class Floors:
    """Highest numbers ever verified; mirrored in the launcher's state record, so that lost files cannot lower them."""

    root: int = 0
    timestamp: int = 0
    snapshot: int = 0
    targets: int = 0
    content: int = 0
    recall: int = 0
    follow: int = 0
    time_ms: int = 0  # newest signed time that was seen: no clock is believed below it
    sequence: int = 0  # of the newest release that was confirmed here: nothing older is downloaded
    content_sequence: int = 0  # the same of endpoint content …
    launcher_sequence: int = 0  # … and of the launcher

    def of(self, product: str) -> int:
        """Below this sequence nothing of the product is downloaded."""
        return {"content": self.content_sequence, "launcher": self.launcher_sequence}.get(product, self.sequence)


@dataclass(frozen=True, slots=True)
class ClockReading:
    """This machine's clocks when the documents were asked for. `nonce`: hex that the time document must repeat."""

    wall_ms: int
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Follow:
    """What the cell tells one endpoint's launcher. It can delay, never install: recalls hold whatever it says."""

    generation: int = 0
    channel: str = ""  # "" = the one that was told at enrolment
    self_update: bool = True
    pin: str = ""  # release_id to stay at, "" = none


@dataclass(frozen=True, slots=True)
class Offered:
    """A release that signed targets, a grant and a lease agree on, for this very endpoint, now."""

    product: str
    version: str
    sequence: int
    path: str
    sha256: str
    length: int
    rollout_id: str
    generation: int
    lease_expires_ms: int

    @property
    def release_id(self) -> str:
        """How releases are named on the endpoint: version, a hyphen, 12 hex of the bundle's SHA-256."""
        return f"{self.version}-{self.sha256[:12]}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something is not believed. `code` is stable; `text` says what, why and what to do."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What may be believed. Never raises for bad documents: what cannot be verified is left out, with a problem."""

    documents: Documents  # the newest verified ones, to be cached
    floors: Floors
    now_ms: int  # 0 = unknown: nothing new may be installed
    fresh: bool  # the cell has answered our nonce: this is the present state
    recalled: frozenset[str] = frozenset()  # release_ids
    pardoned: frozenset[str] = frozenset()  # release_ids whose recall the offline keys have taken back
    known: tuple[Offered, ...] = ()  # all signed releases for this platform: what may be downloaded again when damaged
    offered: Offered | None = None  # of the product that was asked for
    follow: Follow = field(default_factory=Follow)
    problems: tuple[Problem, ...] = ()
    also: tuple[Offered, ...] = ()  # the newest that is offered of each further product, in the order asked
