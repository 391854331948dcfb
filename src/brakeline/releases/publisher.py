"""From what the register wants to documents that are signed: every role by whoever holds its key here, or by people.

`draft` changes nothing and may be asked "what if"; `commit` makes a draft durable. What cannot be signed here stays as
it is, with a note that says who has to sign what. A draft that an endpoint would not believe is never committed.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from securesystemslib.signer import Signer

from brakeline.core.errors import Bug
from brakeline.releases import decide, signing
from brakeline.releases.bundles import Bundles
from brakeline.releases.decide import Wanted
from brakeline.releases.faults import BadMetadata, NotSigned
from brakeline.releases.keys import Keyring
from brakeline.releases.model import CONTENT, ONLINE_ROLES, RENEW_BEFORE_MS, Release
from brakeline.releases.repository import Repository, objections, version_of
from brakeline.releases.signing import Holder, Roster, roster_of
from brakeline.trust import metadata
from brakeline.trust.envelope import Signers
from brakeline.trust.errors import Distrust
from brakeline.trust.model import Documents, Who
from brakeline.trust.statements import recall_of

CONDUCTOR: Final = "conductor"
ELSEWHERE: Final = (
    "the conductor's key is not on this server: releases are offered here only inside grants of a conductor that has "
    "it, and what is promoted in this cell alone is offered to nobody"
)


@dataclass(slots=True)
class Draft:
    """What would be served, which incoming documents that uses or refuses, and what people have to do."""

    documents: Documents
    used: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)  # incoming documents that can never count, with the reason
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a draft is made from."""

    releases: tuple[Release, ...]
    have: Collection[str]  # SHA-256 of the bundles that are here
    incoming: Mapping[str, str]
    now_ms: int


class Publisher:
    """Signs for one cell."""

    def __init__(self, cell: str, keys: Keyring, repository: Repository, bundles: Bundles) -> None:
        self.cell, self.keys, self.repository, self.bundles = cell, keys, repository, bundles

    def facts(self, releases: Iterable[Release], now_ms: int) -> Facts:
        """Everything that a draft of these releases is made from."""
        return Facts(tuple(releases), self.bundles.present(), self.repository.incoming(), now_ms)

    def full_role(self, role: str) -> str:
        """A role's name in the root."""
        return f"{role}/{self.cell}" if role in ("cell", "recall") else role

    def begin(self, now_ms: int) -> Documents:
        """A developer root: every key a file on this server."""
        roots = self.repository.roots()
        if roots:  # the first start was cut off
            return Documents(roots=roots[:1])
        roles = ("root", "timestamp", "snapshot", "targets", "conductor", "cell", "recall")
        holders = {self.full_role(r): Holder((self.keys.make(r).public_key,)) for r in roles}
        roster = Roster(1, "developer", holders)
        return Documents(roots=(signing.root_text(roster, now_ms, self.signers(roster, "root")),))

    def signers(self, roster: Roster, role: str) -> list[Signer]:
        """Enough signers for `role`, empty when this server has not."""
        holder = roster.roles.get(self.full_role(role))
        return self.keys.enough(holder.keyids, holder.threshold) if holder else []

    def commit(self, draft: Draft, before: Documents) -> None:
        """Make it durable; incoming documents that it used or refused wait no longer."""
        if draft.documents != before:
            if problems := objections(draft.documents, self.cell):
                raise Bug("these documents would not be believed: " + "; ".join(problems))
            self.repository.commit(draft.documents, before)
        self.repository.drop((*draft.used, *draft.refused))

    # --- drafting ----------------------------------------------------------------------------------------------------

    def draft(self, present: Documents, facts: Facts) -> Draft:
        """The next documents. Raises `NotSigned` when not even the present root can be served."""
        refused: dict[str, str] = {}
        roots = self._next_roots(present, facts, refused)
        if roots != present.roots:
            try:
                draft = self._with_roots(present, roots, facts)
                draft.used += ["root"] if facts.incoming.get("root") == roots[-1] else []
                draft.refused |= refused
                return draft
            except NotSigned as e:
                refused["root"] = e.detail
        try:
            draft = self._with_roots(present, present.roots, facts)
        except NotSigned as e:
            if not present.timestamp:
                raise
            draft = Draft(present, notes=[e.detail])  # what stands goes on; a recall must be possible all the same
            root, roster = metadata.pinned(present.roots[-1]), roster_of(present.roots[-1])
            standing = _verified(present.targets, "targets", root.signers("targets"))
            self._recall(draft, root, roster, _listing(standing) if standing else Wanted({}, {}), facts)
        draft.refused |= refused
        return draft

    def _next_roots(self, present: Documents, facts: Facts, refused: dict[str, str]) -> tuple[str, ...]:
        newest = metadata.pinned(present.roots[-1])
        if brought := facts.incoming.get("root"):
            try:
                metadata.successor(newest, brought)
                roster_of(brought)
                return (*present.roots, brought)
            except (Distrust, BadMetadata) as e:
                refused["root"] = e.detail
        roster = roster_of(present.roots[-1])
        signers = self.signers(roster, "root")
        if signers and newest.expires_ms - facts.now_ms < RENEW_BEFORE_MS["root"]:
            following = replace(roster, version=roster.version + 1)
            return (*present.roots, signing.root_text(following, facts.now_ms, signers))
        return present.roots

    def _with_roots(self, present: Documents, roots: tuple[str, ...], facts: Facts) -> Draft:
        root, roster = metadata.pinned(roots[-1]), roster_of(roots[-1])
        missing, led = [role for role in ONLINE_ROLES if not self.signers(roster, role)], ""
        if missing == [CONDUCTOR]:  # a conductor elsewhere has it, and this cell only embeds what that one grants
            missing, led = [], ELSEWHERE
        if missing and roots != present.roots:
            raise NotSigned(f"the new root names keys for {', '.join(missing)} that are not on this server; put "
                            "them into its keys directory first")  # fmt: skip
        draft = Draft(replace(present, roots=roots), notes=[led] if led else [])
        if missing:
            draft.notes.append(f"the keys of {', '.join(missing)} are not on this server, which needs them all the "
                               "time: restore them, or let the holders of the root name others")  # fmt: skip
        targets = self._targets(draft, root, roster, facts)
        self._content(draft, facts)
        self._snapshot(draft, present, root, roster, facts)
        self._recall(draft, root, roster, targets, facts)
        return draft

    def _targets(self, draft: Draft, root: metadata.Root, roster: Roster, facts: Facts) -> Wanted:
        present = draft.documents.targets
        wanted = decide.wanted(facts.releases, "targets", facts.have)
        holder = (signing.content_holder(present) if present else None) or (
            None if present else Holder((self.keys.make(CONTENT).public_key,))
        )

        def sign(version: int, signers: list[Signer]) -> str:
            return signing.targets_text(version, facts.now_ms, wanted.files, signers, content=holder,
                                        pardons=wanted.pardons)  # fmt: skip

        text = self._one(draft, "targets", present, root.signers("targets"), self.signers(roster, "targets"), wanted,
                         sign, facts)  # fmt: skip
        draft.documents = replace(draft.documents, targets=text)
        return _listing(metadata.targets_of(metadata.checked(text, "targets", root.signers("targets"), 0)))

    def _content(self, draft: Draft, facts: Facts) -> None:
        holder = signing.content_holder(draft.documents.targets)
        if holder is None:
            draft.documents = replace(draft.documents, content="")
            return
        wanted = decide.wanted(facts.releases, CONTENT, facts.have)
        public = Signers({k.keyid: bytes.fromhex(k.keyval["public"]) for k in holder.keys}, holder.threshold)

        def sign(version: int, signers: list[Signer]) -> str:
            return signing.targets_text(version, facts.now_ms, wanted.files, signers)

        here = self.keys.enough(holder.keyids, holder.threshold)
        try:
            text = self._one(draft, CONTENT, draft.documents.content, public, here, wanted, sign, facts)
        except NotSigned as e:  # its trouble is its own
            draft.notes.append(e.detail)
            text = ""
        draft.documents = replace(draft.documents, content=text)

    def _one(self, draft: Draft, role: str, present: str, public: Signers, here: list[Signer], wanted: Wanted,
             sign: Any, facts: Facts) -> str:  # fmt: skip
        """The text of one targets role: what people brought, what stands, or what is signed now."""
        standing = _verified(present, role, public)
        if brought := facts.incoming.get(role):
            try:
                said = metadata.targets_of(metadata.checked(brought, role, public, version_of(present) + 1))
                difference = _difference(_listing(said), wanted)
                if not difference:
                    draft.used.append(role)
                    return brought
                draft.notes.append(f"the {role} document that was brought waits: {difference}")
            except Distrust as e:
                draft.refused[role] = e.text
        fits = standing is not None and not _difference(_listing(standing), wanted)
        fresh = standing is not None and standing.expires_ms - facts.now_ms >= RENEW_BEFORE_MS[role]
        if fits and (fresh or not here):
            return present
        if here:
            return str(sign(decide.next_version(version_of(present), facts.now_ms), here))
        if standing is None:
            raise NotSigned(f"nobody has signed {role} with the keys that are named for it")
        draft.notes.append(
            f"the holders of the {role} keys have to sign again: {_difference(_listing(standing), wanted)}"
        )
        return present

    def _snapshot(self, draft: Draft, present: Documents, root: metadata.Root, roster: Roster, facts: Facts) -> None:
        """Snapshot and timestamp over the targets of the draft."""
        d = draft.documents
        texts = {"targets.json": d.targets, "content.json": d.content}
        below = {name: (version_of(text), text) for name, text in texts.items() if text}
        same = (d.targets, d.content) == (present.targets, present.content)
        snapshot, timestamp = d.snapshot, d.timestamp
        if not (same and _lasts(snapshot, "snapshot", root, facts.now_ms)):
            signers = self._needed(roster, "snapshot", same and snapshot)
            if signers:
                snapshot = signing.snapshot_text(
                    decide.next_version(version_of(snapshot), facts.now_ms), facts.now_ms, below, signers
                )
        if snapshot != d.snapshot or not _lasts(timestamp, "timestamp", root, facts.now_ms):
            signers = self._needed(roster, "timestamp", snapshot == d.snapshot and timestamp)
            if signers:
                timestamp = signing.timestamp_text(
                    decide.next_version(version_of(timestamp), facts.now_ms), facts.now_ms, version_of(snapshot),
                    snapshot, signers,
                )  # fmt: skip
        draft.documents = replace(d, snapshot=snapshot, timestamp=timestamp)

    def _needed(self, roster: Roster, role: str, standing: object) -> list[Signer]:
        """The signers of an online role. Without them a standing document serves until it expires."""
        signers = self.signers(roster, role)
        if not signers and not standing:
            raise NotSigned(f"the key of {role} is not on this server, so nothing new can be served")
        return signers

    def _recall(self, draft: Draft, root: metadata.Root, roster: Roster, targets: Wanted, facts: Facts) -> None:
        listed = decide.recall_list(facts.releases, targets.pardons)
        ids = tuple(r for r, _ in listed)
        version, expires_ms, present_ids = _recall_now(draft.documents.recall, root, self.cell)
        changed = set(ids) != set(present_ids)
        if not changed and expires_ms - facts.now_ms >= RENEW_BEFORE_MS["recall"]:
            return
        signers = self.signers(roster, "recall")
        if not signers:
            draft.notes.append("the key of recall is not on this server: nothing can be recalled")
            return
        if changed or not version:
            version = decide.recall_version(version, facts.now_ms, ids, targets.pardons)
        text = signing.recall_text(self.cell, version, facts.now_ms, listed, signers)
        draft.documents = replace(draft.documents, recall=text)


def _verified(text: str, role: str, public: Signers) -> metadata.Targets | None:
    try:
        return metadata.targets_of(metadata.checked(text, role, public, 0)) if text else None
    except Distrust:
        return None


def _lasts(text: str, role: str, root: metadata.Root, now_ms: int) -> bool:
    """Whether it holds under `root` and needs no renewal yet."""
    try:
        envelope = metadata.checked(text, role, root.signers(role), 0)
        return metadata.expires_ms(envelope) - now_ms >= RENEW_BEFORE_MS[role]
    except Distrust:
        return False


def _recall_now(text: str, root: metadata.Root, cell: str) -> tuple[int, int, tuple[str, ...]]:
    """(version, expiry, ids) of the standing list. One that no longer holds gives its version alone."""
    if not text:
        return 0, 0, ()
    try:
        found = recall_of(root, text, Who("", cell, ""), 0)
    except Distrust:
        signed = json.loads(text)["signed"]
        return version_of(text), 0, tuple(e["release_id"] for e in signed["releases"])
    return found.version, found.expires_ms, found.releases


def _listing(said: metadata.Targets) -> Wanted:
    return Wanted(said.files, said.pardons)


def _difference(said: Wanted, wanted: Wanted) -> str:
    """What a document says otherwise than it should, as words; "" = nothing."""
    words = []
    for path in sorted({*said.files, *wanted.files}):
        a, b = said.files.get(path), wanted.files.get(path)
        if b is None:
            words.append(f"it lists {path}, which was withdrawn or is not here")
        elif a is None:
            words.append(f"it does not list {path}")
        elif (a.sha256, a.length, dict(a.custom)) != (b.sha256, b.length, dict(b.custom)):
            words.append(f"it says something else of {path}")
    lacking = {r for r, v in wanted.pardons.items() if said.pardons.get(r, -1) < v}
    words += [f"it does not pardon {r}" for r in sorted(lacking)]
    words += [
        f"it pardons {r}, which two people have not done here" for r in sorted({*said.pardons} - {*wanted.pardons})
    ]
    return "; ".join(words)
