"""The words between a cell and its conductor, as frozen types. Pure.

A *report* (cell to conductor) holds counts, sums of bets and enumerated names; a *grant* (conductor to cell) says how
far one cell may go in one lead, for minutes. Both are additive: a conductor reads reports of the version before; a cell
believes a grant only if it understands the whole of it. Times are Unix milliseconds of whoever writes them; whatever is
compared across cells travels as an age.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import IntEnum, StrEnum
from typing import Final

GRANT_S: Final = 300  # with the offer's own five minutes: nothing starts ten minutes after the conductor's last word
GRANT_MS_MAX: Final = 600_000  # no cell believes a longer one
OFFER_S_MAX: Final = 300
HELD_S_MAX: Final = 10  # an answer is held open for so long at most: far below `SILENT_MS`
SKEW_MAX_MS: Final = 30_000  # two clocks may differ by so much, the way included
SILENT_MS: Final = 60_000  # a cell that was not heard for so long is lost: the ring waits for it
CELLS_MAX: Final = 64
RINGS_MAX: Final = 32
REPORTS_MAX: Final = 100  # leads of one cell in one message
BETS_MAX: Final = 2_000  # rows of one report
GENERATION_JUMP_MAX: Final = 1_000  # nobody who has one key can lock everybody else out for ever
COUNT_MAX: Final = 10_000_000_000
# Told in each exchange. 0 = updates and releases are led here; 1 = settings, offers in a hold; 2 = a policy may still
# be fitted to the fleet while nobody has a ring here; 3 = releases to the channel `early`.
LEADS_KNOWN: Final = 3
EXCHANGE_CONTEXT: Final = b"brakeline-cell-exchange-v1\n"
ANSWER_CONTEXT: Final = b"brakeline-conductor-answer-v1\n"
GRANT_CONTEXT: Final = b"brakeline-conductor-grant-v1\n"
JOIN_CONTEXT: Final = b"brakeline-cell-join-v1\n"


class MemberState(StrEnum):
    """How the conductor holds a cell. Drained: takes no further part; isolated: is not even heard."""

    INVITED = "invited"
    JOINED = "joined"
    DRAINED = "drained"
    ISOLATED = "isolated"


class Stand(StrEnum):
    """What a grant says. Only GO opens anything."""

    GO = "go"
    HOLD = "hold"
    HALT = "halt"
    DONE = "done"


class CellPhase(StrEnum):
    """Where a lead stands in one cell. NOBODY: the cell has no endpoint for it."""

    NOBODY = "nobody"
    DRAFT = "draft"
    ROLLING = "rolling"
    HOLDING = "holding"
    HALTED = "halted"
    COMPLETED = "completed"
    WITHDRAWN = "withdrawn"


class Cause(StrEnum):
    """Why a cell stands still: the word, not the sentence, which may name an endpoint."""

    NONE = "none"
    CONDUCTOR = "conductor"
    PERSON = "person"
    FREEZE = "freeze"
    EVIDENCE = "evidence"
    LIMITS = "limits"


class Refusal(IntEnum):
    """Why a cell takes no part in a lead of settings, as a number: the sentence may name what is the cell's own."""

    NONE = 0
    OTHER = 1
    UNDER_WAY = 2
    QUARANTINED = 3
    NAME = 4
    NEVER_OPEN = 5
    FASTER = 6
    WORDS = 7


REFUSALS: Final[Mapping[int, str]] = {
    Refusal.OTHER: "it cannot follow; its own page says why",
    Refusal.UNDER_WAY: "another rollout of settings is under way there; it follows when that has ended",
    Refusal.QUARANTINED: "the same settings were halted there; its people resume that rollout, or lead others",
    Refusal.NAME: "that name is a policy of its own there, or was led for other endpoints; lead it under another name",
    Refusal.NEVER_OPEN: "with its own windows some endpoints would have no minute left; its own page names the policy",
    Refusal.FASTER: "it takes no faster pace from its conductor",
    Refusal.WORDS: "it does not take these words; its own page says which",
}


@dataclass(frozen=True, slots=True)
class CellPart:
    """Treated endpoints of one ring and class; the figures of `rollout.summary.Part`."""

    ring: int
    machine_class: str
    treated: int = 0
    set_aside: int = 0
    known: int = 0
    proven: int = 0
    passed: int = 0
    passed_known: int = 0
    passed_proven: int = 0
    open: int = 0
    failed: int = 0
    failed_news: int = 0
    seen: int = 0
    youngest_age_s: int = 0
    baked: int = 0
    consenting: int = 0
    restarted: int = 0
    excused: int = 0
    asked: int = 0  # heard at the checkpoint at which their first offer was over
    untaken: int = 0  # of these take nothing


NOT_SUMMED: Final = frozenset({"ring", "machine_class", "youngest_age_s"})
SUMMED: Final = tuple(f.name for f in fields(CellPart) if f.name not in NOT_SUMMED)  # added up over a cell's regions


@dataclass(frozen=True, slots=True)
class CellControls:
    """Controls of one class that are still compared."""

    machine_class: str
    controls: int
    heard: int


@dataclass(frozen=True, slots=True)
class CellBets:
    """One comparison of one ring: logs of the bets, a sum over all blocks of the cell."""

    signal: str
    checkpoint: int
    group: str
    ring: int
    bets: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class CellEnded:
    """Offers of one group that came to an end, and of these the failed."""

    group: str
    ended: int
    failed: int


@dataclass(frozen=True, slots=True)
class CellReport:
    """One lead in one cell, in numbers. `revision`: of the newest grant that the cell believes."""

    lead_id: str
    revision: int
    phase: CellPhase
    cause: Cause = Cause.NONE
    ring: int = -1
    passed: bool = False  # all of its own gates of that ring are passed
    eligible: int = 0  # endpoints that may still be treated
    parts: tuple[CellPart, ...] = ()
    controls: tuple[CellControls, ...] = ()
    bets: tuple[CellBets, ...] = ()
    ended: tuple[CellEnded, ...] = ()
    data_age_s: int = 0
    compared: bool = False
    harms: tuple[CellBets, ...] = ()  # of signals that conductors did not know at first, who would refuse the report
    vitals: tuple[CellBets, ...] = ()  # of signals that came later still
    refused: int = 0  # a `Refusal`, of a lead of settings

    @property
    def treated(self) -> int:
        """Endpoints that took or were offered the change."""
        return sum(p.treated for p in self.parts)

    @property
    def counted(self) -> int:
        """Of them those that fill a place of their ring."""
        return sum(p.treated - p.set_aside for p in self.parts)


@dataclass(frozen=True, slots=True)
class GrantedRing:
    """One ring of a cell: how many of its endpoints may be treated up to and with it."""

    name: str
    bake_s: int
    upto: int


@dataclass(frozen=True, slots=True)
class Orphan:
    """A lead of a conductor that this cell believes no more, as that one last granted it: what whoever takes it over
    goes on from. Nothing in it is of the cell but two counts."""

    lead_id: str
    title: str
    filter: str
    change: str
    policy: str
    revision: int
    stand: Stand
    rings: tuple[GrantedRing, ...] = ()
    salt: str = ""
    size: int = 0  # endpoints of this cell that were treated or could be
    treated: int = 0


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a cell says each time. To a conductor that it has left: for which `generation` of which other one."""

    link_id: str
    cell: str
    counter: int
    sent_ms: int
    version: str
    reports: tuple[CellReport, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    left_generation: int = 0
    left_for: str = ""
    leads: int = 0  # `LEADS_KNOWN` of the cell


@dataclass(frozen=True, slots=True)
class Grant:
    """How far one cell may go. `change` and `policy` are canonical JSON of `rollout.model`, `filter` is evaluated in
    the cell. `rings`: all that were opened to it so far, none = it says how many endpoints it has."""

    lead_id: str
    link_id: str
    cell: str
    revision: int
    stand: Stand
    why: str
    title: str
    filter: str
    change: str
    policy: str
    rings: tuple[GrantedRing, ...]
    issued_ms: int
    expires_ms: int
    salt: str = ""  # of a release: hex; every cell draws with it
    draw_below: int = 0  # of a release: up to which place in the draw
    generation: int = 0  # of whoever conducts: rises with each hand-over, and cells refuse an older one
    lease: str = ""  # the same for endpoints, in their envelope: what the offer leases of this cell embed
    retry: bool = False  # of a hold: whoever has it and has begun nothing may be offered it again


@dataclass(frozen=True, slots=True)
class Signed:
    """The exact text that was signed, and its Ed25519 signature in hex."""

    payload: str
    signature: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A signed message with what the conductor needs to find its sender.

    `wait_s`: its answer may come so much later, when there is something new by then; `has`: what the cell was told last
    (`decide.essence`), so that the conductor knows what is new. Both are outside of what is signed, so a conductor of
    the version before passes them over; whoever bends them delays an answer, which cutting the line does as well.
    """

    tenant_id: str
    link_id: str
    message: Signed
    wait_s: int = 0
    has: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the conductor says back; `counter` is the one that it answers."""

    link_id: str
    counter: int
    sent_ms: int
    version: str
    grants: tuple[Signed, ...] = ()
    trouble: str = ""  # why this cell gets no grants
    holds: bool = False  # this conductor holds answers open for whoever asks for it


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a join token holds."""

    url: str
    ca_pem: str
    conductor_key: str
    link_id: str
    tenant_id: str
    cell: str
    region: str
    secret: str
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Join:
    """How a cell redeems its token."""

    link_id: str
    secret: str
    public_key: str
    region: str
    sent_ms: int
    version: str


@dataclass(frozen=True, slots=True)
class Member:
    """A cell as its conductor holds it."""

    link_id: str
    cell: str
    region: str
    state: MemberState
    public_key: str = ""
    counter: int = 0
    version: str = ""
    skew_ms: int = 0
    heard_ms: int = 0
    doubt: str = ""  # why it is not believed any more
    added_ms: int = 0
    added_by: str = ""
    generation: int = 0  # in which it was invited
    left_generation: int = 0  # it has told that it believes this one of another conductor
    left_for: str = ""
    leads: int = 0  # what can be led there, as it said last


@dataclass(frozen=True, slots=True)
class Link:
    """A conductor as a cell holds it."""

    link_id: str
    cell: str
    url: str
    ca_pem: str
    conductor_key: str
    counter: int = 0
    asked_ms: int = 0
    answered_ms: int = 0
    skew_ms: int = 0
    trouble: str = ""
    isolated: bool = False
    joined_ms: int = 0
    joined_by: str = ""
    their_tenant: str = ""  # this organisation's id at the conductor
    generation: int = 0
    fast: bool = False  # two people here let it lead in the fast lane, too


@dataclass(frozen=True, slots=True)
class Former:
    """A conductor that this cell has left, and has to be told so."""

    link: Link
    left_ms: int
    told_ms: int = 0


def generation_of(members: tuple[Member, ...]) -> int:
    """The generation in which this cell conducts: that of its newest token."""
    return max((m.generation for m in members), default=0)


def superseded(members: tuple[Member, ...]) -> str:
    """Why this cell conducts no more, in words; "" = it does. One cell that tells it is enough: it can only stop."""
    mine = generation_of(members)
    newer = max(members, key=lambda m: m.left_generation, default=None)
    if newer is None or newer.left_generation <= mine:
        return ""
    return (f"this cell no longer leads: cell {newer.cell} believes {newer.left_for or 'another conductor'} "
            f"(generation {newer.left_generation}; here it is {mine})")  # fmt: skip
