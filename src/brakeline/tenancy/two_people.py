"""When two people have agreed: who may second whom, how long one alone has to wait, what an approval is worth. Pure.

What widens again after a stop, or widens faster than usual, takes a second person: another human being in a session of
his own that was authenticated within FRESH_MS, never a token, never the same person, never an account that the first
has made, raised or given a new way in within RELATED_MS (nor the other way round, nor through others in between). What
nobody known did counts as done by the first. Where no such person exists it takes time instead, and everybody is told.
An approval is worth exactly what was shown: act, object, parameters and situation are in its digest.
Next: `approvals` does it, `faults` says no.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
FRESH_MS: Final = 5 * 60_000  # a session left open at lunch approves nothing
RELATED_MS: Final = 7 * DAY_MS  # a new account, or a new way into one, is looked at by somebody within a week
OPEN_MS: Final = HOUR_MS  # whoever agrees shall know the moment; ask again otherwise
CONFIRM_MS: Final = DAY_MS  # after the delay of a single person, so that a night may pass
A_PERSON: Final = "A token cannot agree: sign in to the console, or let the command line ask for a password."
NOBODY: Final = ""  # what no person known has done: the machine's own token, the first start


class Act(StrEnum):
    """What takes two people."""

    RESUME = "rollout.resume"  # after a halt
    FAST_LANE = "rollout.fast-lane"  # rings or bake times that are less careful than the careful ones
    LIMITS = "limits.raise"
    UNFREEZE = "freeze.lift"
    ROLES = "person.set-roles"  # to more than before
    PARDON = "release.pardon"
    CELLS = "cell.trust"  # to believe a conductor, to let a cell take part again
    LEADS = "lead.widen"  # to take a lead over from a lost conductor, to start one in the fast lane
    POOL = "pool.consent"  # to share evidence with other organisations, and be stopped by theirs
    CONTENT = "content.accept"  # that takes findings away, or a bound of content that is raised
    ACCEPT = "risk.accept"  # a finding, where the terms ask for two; terms that are loosened


APPROVES: Final[Mapping[Act, str]] = {
    Act.RESUME: "rollout.approve", Act.FAST_LANE: "rollout.approve", Act.LIMITS: "rollout.approve",
    Act.UNFREEZE: "rollout.approve", Act.ROLES: "people.manage", Act.PARDON: "rollout.approve",
    Act.CELLS: "rollout.approve",
    Act.LEADS: "rollout.approve",
    Act.CONTENT: "rollout.approve", Act.POOL: "rollout.approve", Act.ACCEPT: "rollout.approve",
}  # fmt: skip


class Way(StrEnum):
    """How an act comes about."""

    TWO = "two people"
    ALONE = "single person"  # nobody else could be asked
    BEREFT = "nobody left"  # somebody could have been, had the first (or nobody known) not seen to it this week


DELAY_MS: Final[Mapping[Way, int]] = {Way.TWO: 0, Way.ALONE: HOUR_MS, Way.BEREFT: DAY_MS}

Change = Literal["created", "raised", "link", "lowered", "disabled"]
MAKES: Final[frozenset[Change]] = frozenset({"created", "raised"})
RELATES: Final[frozenset[Change]] = MAKES | {"link"}
TAKES: Final[frozenset[Change]] = frozenset({"lowered", "disabled"})


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody of the organisation."""

    person_id: str
    name: str
    permissions: frozenset[str]
    enabled: bool = True

    def may(self, permission: str) -> bool:
        return self.enabled and permission in self.permissions


@dataclass(frozen=True, slots=True)
class Event:
    """What somebody did to somebody's account. `by` = a person, or NOBODY; `before` = what the account could do."""

    at_ms: int
    change: Change
    person_id: str
    by: str
    before: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """Who is there, and what was done to their accounts, at least as far back as RELATED_MS."""

    members: tuple[Member, ...]
    events: tuple[Event, ...] = ()

    def member(self, person_id: str) -> Member | None:
        return next((m for m in self.members if m.person_id == person_id), None)

    def name(self, person_id: str) -> str:
        found = self.member(person_id)
        return found.name if found else "nobody known"


@dataclass(frozen=True, slots=True)
class Request:
    """An act that somebody has asked for. `first` = the person who asked, NOBODY where a token belongs to none."""

    approval_id: str
    act: Act
    object_id: str
    parameters: Mapping[str, Any]
    says: tuple[str, ...]  # exactly what will be done, for whoever agrees
    situation: str  # what must still be so when it is done
    asked_ms: int
    asked_by_id: str
    asked_by: str
    first: str
    way: Way
    not_before_ms: int  # of a single person; 0 = two people
    expires_ms: int
    state: str = "open"  # open | approved | done | rejected | overtaken | failed
    decided_ms: int = 0
    decided_by_id: str = ""
    decided_by: str = ""
    note: str = ""

    @property
    def digest(self) -> str:
        """What an approval is for: nothing of it can be exchanged."""
        return digest_of(self.approval_id, self.act, self.object_id, self.parameters, self.says, self.situation)

    def standing(self, now_ms: int) -> str:
        """The state for people: an open request whose time is over has expired."""
        return "expired" if self.state == "open" and now_ms >= self.expires_ms else self.state


@dataclass(frozen=True, slots=True)
class Approver:
    """Who wants to agree. `authenticated_ms`: when this session last proved who it is; 0 = no session."""

    person_id: str
    name: str
    kind: str  # person | token | system
    permissions: frozenset[str]
    authenticated_ms: int = 0


@dataclass(frozen=True, slots=True)
class Approve:
    """It is to be done now. `single`: by one person, after the delay."""

    single: bool = False


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Nobody known had asked: from now on this person has, and another one has to agree."""

    way: Way
    not_before_ms: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Not by this one, or not now."""

    code: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


Verdict = Approve | TakeOver | Refuse


def digest_of(approval_id: str, act: Act, object_id: str, parameters: Mapping[str, Any], says: Iterable[str],
              situation: str) -> str:  # fmt: skip
    """16 hex digits over everything that is agreed to."""
    plain = [approval_id, act.value, object_id, dict(parameters), list(says), situation]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def behind(maker: str, makers: Mapping[str, str]) -> str:
    """The person behind an id: itself, or whoever made the token, or NOBODY. Pure."""
    seen = set[str]()
    while maker in makers and maker not in seen:
        seen.add(maker)
        maker = makers[maker]
    return maker if maker.startswith("pe_") else NOBODY


# --- who stands by himself -------------------------------------------------------------------------------------------


def related(first: str, facts: Facts, now_ms: int, changes: frozenset[Change] = RELATES) -> frozenset[str]:
    """Everybody whose account hangs together with that of `first`, through whomever. NOBODY may be anybody: it is
    always among them, and an account that hangs together with it hangs together with all."""
    edges = [
        (e.by, e.person_id) for e in facts.events if e.change in changes and now_ms - e.at_ms < RELATED_MS
    ]  # fmt: skip
    if first != NOBODY and first in _reached({NOBODY}, edges):
        return frozenset({first, NOBODY, *(m.person_id for m in facts.members), *(e.person_id for e in facts.events)})
    return frozenset(_reached({first, NOBODY}, edges))


def _reached(found: set[str], edges: list[tuple[str, str]]) -> set[str]:
    while more := {other for a, b in edges for me, other in ((a, b), (b, a)) if me in found} - found:
        found = found | more
    return found


def seconds(first: str, act: Act, facts: Facts, now_ms: int) -> tuple[Member, ...]:
    """Who could agree as a second person."""
    mine = related(first, facts, now_ms)
    return tuple(m for m in facts.members if m.may(APPROVES[act]) and m.person_id not in mine)


def way(first: str, act: Act, facts: Facts, now_ms: int) -> Way:
    """How an act that `first` wants can come about now."""
    if seconds(first, act, facts, now_ms):
        return Way.TWO
    made, mine = related(first, facts, now_ms, MAKES), related(first, facts, now_ms)
    could = {m.person_id for m in facts.members if m.may(APPROVES[act])}
    could |= {
        e.person_id for e in facts.events
        if e.change in TAKES and e.by in mine and APPROVES[act] in e.before and now_ms - e.at_ms < RELATED_MS
    }  # fmt: skip
    return Way.BEREFT if could - made else Way.ALONE


def times(how: Way, asked_ms: int, now_ms: int) -> tuple[int, int]:
    """From when one person alone may confirm it (0 = never), and when it expires."""
    if how is Way.TWO:
        return 0, now_ms + OPEN_MS
    not_before_ms = asked_ms + DELAY_MS[how]
    return not_before_ms, max(not_before_ms, now_ms) + CONFIRM_MS


# --- whether it is to be done ----------------------------------------------------------------------------------------


def judge(request: Request, approver: Approver, digest: str, facts: Facts, now_ms: int) -> Verdict:
    """Whether this person's agreement, now, to what has this digest, is enough."""
    if approver.kind != "person" or not approver.authenticated_ms:
        return Refuse("token", A_PERSON)
    if APPROVES[request.act] not in approver.permissions:
        return Refuse("permission", f"{approver.name} lacks the permission {APPROVES[request.act]}.")
    if request.state not in ("open", "approved"):
        return Refuse("over", f"It is {request.state} already{f' ({request.note})' if request.note else ''}.")
    if request.state == "approved" and request.decided_by_id != approver.person_id:
        return Refuse("over", f"{request.decided_by} has approved it already.")
    if now_ms >= request.expires_ms:
        return Refuse("expired", "Its time is over: ask again.")
    if digest != request.digest:
        return Refuse("other", "That is not what is asked for here: look at it again.", {"digest": request.digest})
    if abs(now_ms - approver.authenticated_ms) > FRESH_MS:  # after now: the clock was set back since
        return Refuse("stale", "Enter your password again: this session proved who you are too long ago.")
    if request.first == NOBODY:
        how = way(approver.person_id, request.act, facts, now_ms)
        return TakeOver(how, *times(how, request.asked_ms, now_ms))
    asker = facts.member(request.first)
    if asker is None or not asker.enabled:
        return Refuse("gone", f"{request.asked_by} may do nothing here any more: ask for it anew.")
    free = seconds(request.first, request.act, facts, now_ms)
    if any(m.person_id == approver.person_id for m in free):
        return Approve()
    return _alone(request, approver, free, facts, now_ms)


def _alone(request: Request, approver: Approver, free: tuple[Member, ...], facts: Facts, now_ms: int) -> Verdict:
    """Whoever asked, or somebody whose account hangs together with his: only where nobody else is, and only later."""
    same = approver.person_id == request.first
    why = (
        "You asked for it yourself." if same
        else f"The accounts of {approver.name} and {facts.name(request.first)} are not independent: within 7 days one "
        "has made the other, raised it or given it a new way in, directly or through others."
    )  # fmt: skip
    if free:
        names = ", ".join(m.name for m in free[:5])
        return Refuse("same" if same else "related", f"{why} Who can agree: {names}.")
    if not request.not_before_ms:
        return Refuse("same" if same else "related", f"{why} Nobody else can agree any more: ask for it anew.")
    how = way(request.first, request.act, facts, now_ms)
    not_before_ms = max(request.not_before_ms, request.asked_ms + DELAY_MS[how])
    if now_ms < not_before_ms:
        wait = (not_before_ms - now_ms + 59_999) // 60_000
        return Refuse("wait", f"{why} Nobody else can agree, so it takes time: {wait} min more.",
                      {"not_before_ms": not_before_ms})  # fmt: skip
    return Approve(single=True)
