"""A peer in our place: the same situation, provoked by the same code, and at the very moment at which our provider
would be asked, the peer is asked instead. What it says is held against the manager's records, never against us.

`staged()` wraps a test's root. While a peer is chosen (`playing`), the first question to the provider ends the
situation with `Answered`; otherwise the root is handed through untouched. The rules by which an answer counts:

refresh  asked to fetch the lists: it must say that it could not, wherever they could not be had
waits    asked what waits: it must name every package of which the repository has a newer version; what cannot be
         installed may be left out
run      told to install what waits: "done" is true where every such package is at its newest version and sound,
         "failed" where one is not, "nothing to do" where nothing was changed and nothing could be
own      the question is one that only we are asked (recovery, the way back, another's plan): not applicable

A package that its owner has hidden (hold, exclude, lock) need not be named: not applicable where it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from tests.correctness.row import NOT_APPLICABLE, RIGHT, WRONG


class Kind(StrEnum):
    REFRESH = "refresh"
    WAITS = "waits"
    RUN = "run"
    OWN = "own"


class Claim(StrEnum):
    DONE = "done"
    FAILED = "failed"
    NOTHING = "nothing to do"


@dataclass(frozen=True)
class Said:
    """An answer of a peer. `names`: what it says waits; `changed`: what it says it changed, None = it does not say."""

    claim: Claim
    words: str
    names: frozenset[str] = frozenset()
    changed: frozenset[str] | None = None
    partial: bool = False  # it says itself that its list is not whole


class Records(Protocol):
    """What is true, by the manager's own tools and by the files of the repository."""

    def waiting(self) -> frozenset[str]:
        """Installed packages of which the repository has a newer version."""
        ...

    def versions(self) -> dict[str, str]: ...
    def sound(self) -> bool: ...


class Peer(Protocol):
    """None = it does not claim to tell."""

    @property
    def name(self) -> str: ...
    def refresh(self, root: Any) -> Said | None: ...
    def waits(self, root: Any) -> Said | None: ...
    def run(self, root: Any) -> Said | None: ...


@dataclass(frozen=True)
class Trait:
    """What the rules have to know of a situation. `alone`: why no peer can be put into it."""

    alone: str = ""
    hidden: bool = False  # the owner himself has hidden the update
    unwell: bool = False  # the run cannot end well, whatever the versions say: a script fails
    impossible: bool = False  # the update cannot be installed: "nothing to do" is the truth
    renewed: bool = False  # the lists can be had
    first: int = 0  # so many refreshes belong to the preparation


@dataclass(frozen=True)
class Verdict:
    word: str
    why: str


class Answered(Exception):
    """Ends a situation as soon as the peer has been asked."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.why)
        self.verdict = verdict


_PLAYING: ContextVar[tuple[Peer, Trait] | None] = ContextVar("playing", default=None)


@contextmanager
def playing(peer: Peer, trait: Trait) -> Iterator[None]:
    """Within, this peer stands where we stand."""
    token = _PLAYING.set((peer, trait))
    try:
        yield
    finally:
        _PLAYING.reset(token)


def a_peer_plays() -> bool:
    return _PLAYING.get() is not None


def staged(root: Any, records: Records) -> Any:
    """The root itself, or the root with a peer in the provider's place."""
    chosen = _PLAYING.get()
    return root if chosen is None else _Staged(root, _StandIn(root, records, *chosen))


class _Staged:
    """Hands everything through but what asks our provider."""

    def __init__(self, root: Any, provider: _StandIn) -> None:
        self._root, self.provider = root, provider

    def __getattr__(self, name: str) -> Any:
        return getattr(self._root, name)

    def plan(self, *_: object, **__: object) -> None:
        """Planning alone belongs to the preparation."""

    def refusal(self, *_: object, **__: object) -> None:
        self.provider.asked(Kind.RUN)

    def apply(self, *_: object, **__: object) -> None:
        self.provider.asked(Kind.RUN)


class _StandIn:
    """In the provider's place."""

    def __init__(self, root: Any, records: Records, peer: Peer, trait: Trait) -> None:
        self._root, self._records, self._peer, self._trait, self._refreshes = root, records, peer, trait, 0

    def refresh(self) -> Any:
        self._refreshes += 1
        if self._refreshes <= self._trait.first:
            return self._root.provider.refresh()
        return self.asked(Kind.REFRESH)

    def available(self) -> Any:
        self.asked(Kind.WAITS)

    def plan(self, *_: object, **__: object) -> None:
        self.asked(Kind.RUN)

    apply = health = verify = changed_conffiles = plan

    def __getattr__(self, name: str) -> Any:
        return self.asked(Kind.OWN)

    def asked(self, kind: Kind) -> None:
        raise Answered(self._verdict(kind))

    def _verdict(self, kind: Kind) -> Verdict:
        if kind is Kind.OWN:
            return Verdict(NOT_APPLICABLE, "nobody asks it that")
        before, waiting = self._records.versions(), self._records.waiting()
        said: Said | None = getattr(self._peer, kind.value)(self._root)
        if said is None:
            return Verdict(NOT_APPLICABLE, "it does not claim to tell")
        if kind is Kind.REFRESH:
            return judged_refresh(said, self._trait)
        if kind is Kind.WAITS:
            return judged_waits(said, waiting, self._trait)
        after, left = self._records.versions(), self._records.waiting()
        moved = frozenset(n for n in {*before, *after} if before.get(n) != after.get(n))
        return judged_run(said, moved, left, self._records.sound(), self._trait)


def judged_refresh(said: Said, trait: Trait) -> Verdict:
    right = (said.claim is Claim.DONE) == trait.renewed
    return Verdict(RIGHT if right else WRONG, f"{said.claim}: {said.words}")


def judged_waits(said: Said, waiting: frozenset[str], trait: Trait) -> Verdict:
    missed = waiting - said.names
    if missed and trait.hidden:
        return Verdict(NOT_APPLICABLE, f"it leaves out what the owner has hidden: {', '.join(sorted(missed))}")
    if missed and (trait.impossible or said.partial):
        return Verdict(NOT_APPLICABLE, f"it lists what could be installed, and this could not: {said.words}")
    words = f"does not name {', '.join(sorted(missed))}" if missed else f"names {', '.join(sorted(waiting))}"
    return Verdict(WRONG if missed else RIGHT, f"{words}: {said.words}")


def judged_run(said: Said, moved: frozenset[str], left: frozenset[str], sound: bool, trait: Trait) -> Verdict:
    """`moved`: packages whose records differ afterwards; `left`: of which a newer version still waits."""
    if left and trait.hidden and not moved:
        return Verdict(NOT_APPLICABLE, f"it leaves alone what the owner has hidden; {said.claim}: {said.words}")
    well = not left and sound and not trait.unwell
    true = {
        Claim.DONE: well,
        Claim.FAILED: not well,
        Claim.NOTHING: not moved and sound and (not left or trait.impossible),
    }[said.claim]
    if said.changed is not None and said.claim is not Claim.FAILED:
        true = true and said.changed == moved
    state = f"moved {', '.join(sorted(moved)) or 'nothing'}; left {', '.join(sorted(left)) or 'nothing'}"
    return Verdict(RIGHT if true else WRONG, f"says {said.claim} ({said.words}); {state}; sound: {sound}")
