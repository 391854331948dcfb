"""Windows Update's answers, read: what waits, what has been overtaken, what came of an installation. Pure.

An answer is a list of updates with the names of the properties of `IUpdate`. Whether one is for security is what the
identifier of its category says, never a word of its title: titles are in the user's language.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from brakeline.agent.providers.model import Refused
from brakeline.agent.providers.windows.exits import hresult
from brakeline.protocol.messages import PendingUpdate, UpdateState

SECURITY: Final = "0fa1201d-4330-4fa8-8ae9-b877473b6441"  # the category "Security Updates", the same everywhere
CRITICAL: Final = "e6cf1350-c01b-414d-a61f-263d14d133b4"
DRIVER: Final = 2  # of UpdateType
RESULTS: Final = {0: "not begun", 1: "not finished", 2: "done", 3: "done with errors", 4: "failed", 5: "given up"}
DONE: Final = frozenset((2, 3))


@dataclass(frozen=True, slots=True)
class Update:
    """One update as the search found it."""

    id: str
    revision: int
    title: str
    kbs: tuple[str, ...] = ()
    supersedes: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    hidden: bool = False
    licence_accepted: bool = True
    asks: bool = False  # may put questions to a person
    alone: bool = False  # must be installed alone
    installed: bool = False
    restart: bool = False
    driver: bool = False
    download_bytes: int = 0
    uninstallable: bool = False  # Windows Update itself says that it can take it away again
    waits: bool = False  # is in, and complete after a restart

    @property
    def name(self) -> str:
        return self.kbs[0] if self.kbs else self.id

    @property
    def version(self) -> str:
        """What an order names: this update in this revision, and no other of the same number."""
        return f"{self.id}.{self.revision}"

    @property
    def security(self) -> bool:
        return bool(self.categories & {SECURITY, CRITICAL})


def read(found: Mapping[str, Any]) -> Update | None:
    """One update of an answer; None = it has no identity, so nobody could order it."""
    identity = found.get("Identity") or {}
    id_, behaviour = str(identity.get("UpdateID", "")).lower(), found.get("InstallationBehavior") or {}
    if not id_:
        return None
    return Update(
        id_, int(identity.get("RevisionNumber", 0)), str(found.get("Title", "")),
        tuple(f"KB{str(k).upper().removeprefix('KB')}" for k in found.get("KBArticleIDs") or ()),
        frozenset(str(s).lower() for s in found.get("SupersededUpdateIDs") or ()),
        frozenset(str(c.get("CategoryID", "")).lower() for c in found.get("Categories") or ()),
        bool(found.get("IsHidden")), bool(found.get("EulaAccepted", True)),
        bool(behaviour.get("CanRequestUserInput")), behaviour.get("Impact") == 2, bool(found.get("IsInstalled")),
        behaviour.get("RebootBehavior", 0) != 0, found.get("Type") == DRIVER, int(found.get("MaxDownloadSize") or 0),
        bool(found.get("IsUninstallable")), bool(found.get("RebootRequired")),
    )  # fmt: skip


def overtaken(updates: Iterable[Update]) -> dict[str, str]:
    """Identifier of each update that another one of the answer contains -> that other one, at the end of the chain.

    Hidden ones overtake nothing: what their owner does not want must not keep back what would be installed.
    """
    known = {u.id: u for u in updates}
    by: dict[str, str] = {}
    for u in known.values():
        for old in u.supersedes & known.keys() if not u.hidden else ():
            if old != u.id:
                by.setdefault(old, u.id)
    ends = {}
    for old in by:
        seen, last = {old}, by[old]
        while last in by and by[last] not in seen:
            seen.add(last)
            last = by[last]
        ends[old] = last
    return ends


def waiting(updates: Iterable[Update], architecture: str) -> tuple[PendingUpdate, ...]:
    """What waits and would be installed, or why not. What has been overtaken is left out: it comes with the other."""
    every = [u for u in updates if not u.installed and not u.waits]
    gone = overtaken(every)
    return tuple(
        PendingUpdate(u.name, architecture, "", u.version, "Windows Update", u.security, *state_of(u), u.download_bytes)
        for u in every if u.id not in gone
    )  # fmt: skip


def state_of(u: Update) -> tuple[UpdateState, str]:
    if u.hidden:
        return UpdateState.HELD, "Hidden on this endpoint by its owner."
    if not u.licence_accepted:
        return UpdateState.KEPT_BACK, "Its licence has not been accepted; a person must read it first."
    if u.asks:
        return UpdateState.KEPT_BACK, "It may put questions to a person, and nobody would answer them."
    if u.driver:
        return UpdateState.KEPT_BACK, "A driver: installed only when it is named."
    return UpdateState.AVAILABLE, ""


def outcome(results: Iterable[tuple[str, int, int]]) -> Refused | None:
    """What came of an installation: (name, result code, HRESULT) of each update; None = all are done, says Windows.

    It is looked at only for the reason: whether they are installed a new search says.
    """
    bad = [(name, code, hresult(number)) for name, code, number in results if code not in DONE or hresult(number)]
    if not bad:
        return None
    name, code, told = bad[0]
    more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
    reason = told.reason if told is not None else f"{RESULTS.get(code, 'in an unknown state')}."
    return Refused(told.code if told is not None else "failed", f"{name}{more}: {reason}")
