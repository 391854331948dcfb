"""A ceremony: the next documents are made where the server can be asked, and signed where the keys are.

Pure: texts and signers in, texts and sentences out; `ceremony_files` keeps it in a directory that is carried from
holder to holder. Invariants: who has to sign what is read from the documents themselves, the present root first;
signatures are counted by the verifier that endpoints use; whoever signs is told in words what changes against what is
published now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from securesystemslib.signer import Signer, SSlibKey

from brakeline.core.errors import Invalid
from brakeline.releases import decide, signing
from brakeline.releases.decide import Wanted
from brakeline.releases.faults import BadMetadata, CeremonyBroken, KeyUnusable
from brakeline.releases.keyfiles import Public
from brakeline.releases.model import CONTENT
from brakeline.releases.repository import expires_ms_of, version_of
from brakeline.releases.signing import Holder, Roster, roster_of
from brakeline.trust import envelope, metadata
from brakeline.trust.envelope import Signers
from brakeline.trust.errors import Distrust
from brakeline.trust.model import Documents
from brakeline.trust.times import instant

ROLES: Final = ("root", "targets", CONTENT)  # documents that people sign, in the order in which they are looked at


@dataclass(frozen=True, slots=True)
class Ceremony:
    """What is published now, and what is proposed: root, targets, content -> text with the signatures so far."""

    present: Documents
    proposed: Mapping[str, str]

    @property
    def roster(self) -> Roster:
        """Who holds what once the proposed documents are published."""
        return roster_of(self.proposed.get("root") or self.present.roots[-1])

    @property
    def content(self) -> Holder | None:
        """Who signs endpoint content then."""
        text = self.proposed.get("targets") or self.present.targets
        return signing.content_holder(text) if text else None


@dataclass(frozen=True, slots=True)
class Need:
    """Signatures that a proposed document needs: so many of these keys. `signed`: key ids whose signatures hold."""

    document: str
    by: str
    holder: Holder
    signed: tuple[str, ...]

    @property
    def met(self) -> bool:
        return len(self.signed) >= self.holder.threshold


# --- proposing -----------------------------------------------------------------------------------------------------


def rotation(present: Documents, keys: Mapping[str, tuple[Public, ...]], thresholds: Mapping[str, int], kind: str,
             now_ms: int) -> Ceremony:  # fmt: skip
    """The next root, in which these roles are held by these keys, and the targets that then have to be signed anew.

    Nothing named: the same root for another year. Raises `Invalid` for what could never be signed.
    """
    roster = roster_of(present.roots[-1])
    content = signing.content_holder(present.targets) if present.targets else None
    held = dict(roster.roles) | ({CONTENT: content} if content else {})
    changed = {_full(role, held): role for role in {*keys, *thresholds}}
    for full, role in changed.items():
        old = held.get(full, Holder(()))
        made = tuple({p.key.keyid: p.key for p in keys[role]}.values()) if role in keys else old.keys
        held[full] = _holder(full, made, thresholds.get(role, 1 if role in keys else old.threshold))
    names = dict(roster.names) | {p.key.keyid: p.name for given in keys.values() for p in given}
    content = held.pop(CONTENT, None)
    proposed = {}
    if set(changed) != {CONTENT}:
        used = {k for h in (*held.values(), *([content] if content else [])) for k in h.keyids}
        following = Roster(
            roster.version + 1, kind or roster.kind, held, 0, {k: v for k, v in names.items() if k in used}
        )
        proposed["root"] = signing.root_text(following, now_ms, ())
    if {"targets", CONTENT} & set(changed):
        proposed["targets"] = _targets(present.targets, listing_of(present.targets), content, now_ms)
    if CONTENT in changed:
        proposed[CONTENT] = _targets(present.content, listing_of(present.content), None, now_ms)
    return Ceremony(present, proposed)


def listing(present: Documents, wanted: Mapping[str, Wanted], now_ms: int, renew: bool = False) -> Ceremony:
    """The next targets and content, where they should say something else than they do (or with `renew` anyway)."""
    proposed = {}
    for role, listed in wanted.items():
        text = present.targets if role == "targets" else present.content
        content = signing.content_holder(present.targets) if present.targets and role == "targets" else None
        if renew or (differences(listing_of(text), listed) if text else listed.files):
            proposed[role] = _targets(text, listed, content, now_ms)
    return Ceremony(present, proposed)


def listing_of(text: str) -> Wanted:
    """What a targets document says; signatures are not looked at."""
    if not text:
        return Wanted({}, {})
    said = metadata.targets_of(envelope.parse(text, "targets", envelope.TARGETS_BYTES_MAX))
    return Wanted(said.files, said.pardons)


def _targets(present: str, listed: Wanted, content: Holder | None, now_ms: int) -> str:
    version = decide.next_version(version_of(present), now_ms)
    return signing.targets_text(version, now_ms, listed.files, (), content=content, pardons=listed.pardons)


def _holder(role: str, keys: tuple[SSlibKey, ...], threshold: int) -> Holder:
    if not 1 <= threshold <= len(keys):
        raise Invalid(f"{role}: {threshold} of {len(keys)} keys can never sign; name more keys or a lower threshold")
    return Holder(keys, threshold)


def _full(role: str, held: Mapping[str, Holder]) -> str:
    """A role's name in the root: "cell" means the only cell's."""
    if role in held or role == CONTENT:
        return role
    found = [full for full in held if full.partition("/")[0] == role]
    if len(found) != 1:
        raise Invalid(f"{role[:40]!r} is no role of this root; its roles are {', '.join(sorted({*held, CONTENT}))}")
    return found[0]


# --- signing -------------------------------------------------------------------------------------------------------


def check(ceremony: Ceremony) -> None:
    """Raises `CeremonyBroken` unless what is called present is signed, root by root, and the rest can follow it."""
    try:
        root = metadata.pinned(ceremony.present.roots[0])
        for text in ceremony.present.roots[1:]:
            root = metadata.successor(root, text)
        _require_published(ceremony.present, root)
        for role, text in ceremony.proposed.items():
            envelope.parse(text, "root" if role == "root" else "targets", envelope.TARGETS_BYTES_MAX)
        if "root" in ceremony.proposed and ceremony.roster.version != root.version + 1:
            raise CeremonyBroken(f"root {ceremony.roster.version} cannot follow root {root.version}")
        for role in set(ceremony.proposed) - {"root"}:
            if version_of(ceremony.proposed[role]) <= version_of(getattr(ceremony.present, role)):
                raise CeremonyBroken(f"the proposed {role} is not newer than what is published")
    except (Distrust, BadMetadata, IndexError) as e:
        raise CeremonyBroken(getattr(e, "text", "") or str(e)) from None


def _require_published(present: Documents, root: metadata.Root) -> None:
    """Holders are told what changes; so what it is held against must be what they have signed before."""
    delegated = None
    if present.targets:
        signed = metadata.checked(present.targets, "targets", root.signers("targets"), 0)
        delegated = metadata.targets_of(signed).delegated
    if present.content and delegated is not None:
        metadata.checked(present.content, CONTENT, delegated, 0)


def needs(ceremony: Ceremony, document: str) -> tuple[Need, ...]:
    """Whose signatures a proposed document needs, and which of them hold."""
    if document == "root":
        before, after = roster_of(ceremony.present.roots[-1]).roles["root"], ceremony.roster.roles["root"]
        wanted = [("the holders of the present root", before), ("the holders of the new root", after)]
        wanted = wanted if before != after else [("the holders of the root", after)]
    else:
        holder = ceremony.roster.roles["targets"] if document == "targets" else ceremony.content
        wanted = [(f"the holders of {document}", holder)] if holder else []
    text = ceremony.proposed[document]
    return tuple(Need(document, by, holder, _signed(text, document, holder)) for by, holder in wanted)


def _signed(text: str, document: str, holder: Holder) -> tuple[str, ...]:
    parsed = envelope.parse(text, "root" if document == "root" else "targets", envelope.TARGETS_BYTES_MAX)
    found = []
    for key in holder.keys:
        try:
            envelope.verify(parsed, Signers({key.keyid: bytes.fromhex(key.keyval["public"])}, 1), document)
            found.append(key.keyid)
        except Distrust:
            continue
    return tuple(found)


def complete(ceremony: Ceremony) -> bool:
    """Whether enough people have signed everything."""
    return all(need.met for document in ceremony.proposed for need in needs(ceremony, document))


def documents_for(ceremony: Ceremony, keyid: str) -> tuple[str, ...]:
    """Which proposed documents this key has to sign. Raises `KeyUnusable` when it has no place in them."""
    found = tuple(d for d in ROLES if d in ceremony.proposed
                  and any(keyid in need.holder.keyids for need in needs(ceremony, d)))  # fmt: skip
    if not found:
        wanted = sorted({name(ceremony, k) for d in ceremony.proposed for n in needs(ceremony, d)
                         for k in n.holder.keyids})  # fmt: skip
        raise KeyUnusable(f"the key {keyid[:8]} has nothing to sign here; asked for are {', '.join(wanted)}")
    return found


def sign(ceremony: Ceremony, documents: Iterable[str], signer: Signer) -> Ceremony:
    """The same with one more signature on each of `documents`."""
    signed = {d: signing.add_signature(ceremony.proposed[d], signer) for d in documents}
    return replace(ceremony, proposed={**ceremony.proposed, **signed})


def merged(one: Ceremony, other: Ceremony) -> Ceremony:
    """Both copies' signatures, where holders have signed apart. Raises `CeremonyBroken` unless they signed the same."""
    if one.present != other.present or set(one.proposed) != set(other.proposed):
        raise CeremonyBroken("the two directories are copies of different ceremonies")
    texts = {d: signing.merged_text(text, other.proposed[d]) for d, text in one.proposed.items()}
    return replace(one, proposed=texts)


# --- in words ------------------------------------------------------------------------------------------------------


def name(ceremony: Ceremony, keyid: str) -> str:
    """What people call the holder of a key: its name, else eight digits of its id."""
    names = dict(roster_of(ceremony.present.roots[-1]).names) | dict(ceremony.roster.names)
    return names.get(keyid, keyid[:8])


def words(ceremony: Ceremony, document: str) -> tuple[str, ...]:
    """What whoever signs this document says with it: its head, then one line a change."""
    text = ceremony.proposed[document]
    until = instant(expires_ms_of(text))[:10]
    if document == "root":
        return (f"root {version_of(text)}, {ceremony.roster.kind} root, valid until {until}", *_root_words(ceremony))
    old = ceremony.present.targets if document == "targets" else ceremony.present.content
    changes = differences(listing_of(old), listing_of(text))
    if document == "targets":
        before = signing.content_holder(old) if old else None
        changes += _change(ceremony, "content is signed by", before, ceremony.content)
    return (f"{document} {version_of(text)}, valid until {until}", *(changes or ("the same releases as before",)))


def _root_words(ceremony: Ceremony) -> tuple[str, ...]:
    before, after = roster_of(ceremony.present.roots[-1]), ceremony.roster
    found: tuple[str, ...] = ()
    if before.kind != after.kind:
        found += (f"the {before.kind} root becomes the {after.kind} root",)
    for role in sorted({*before.roles, *after.roles}):
        found += _change(ceremony, role, before.roles.get(role), after.roles.get(role))
    return found or ("the same holders as before",)


def _change(ceremony: Ceremony, what: str, before: Holder | None, after: Holder | None) -> tuple[str, ...]:
    if before == after:
        return ()
    return (f"{what}: {_held(ceremony, after)} (until now {_held(ceremony, before)})",)


def _held(ceremony: Ceremony, holder: Holder | None) -> str:
    if holder is None:
        return "nobody"
    return f"{holder.threshold} of {', '.join(name(ceremony, k) for k in holder.keyids)}"


def need_words(ceremony: Ceremony, need: Need) -> str:
    """ "root: 1 of 2 signatures of the holders of the new root (anna); still asked: bert, carla"."""
    have = ", ".join(name(ceremony, k) for k in need.signed)
    text = f"{need.document}: {len(need.signed)} of {need.holder.threshold} signatures of {need.by}"
    text += f" ({have})" if have else ""
    lacking = ", ".join(name(ceremony, k) for k in need.holder.keyids if k not in need.signed)
    return text if need.met else f"{text}; still asked: {lacking}"


def differences(before: Wanted, after: Wanted) -> tuple[str, ...]:
    """What the second says otherwise than the first, one sentence each."""
    found = []
    for path in sorted({*before.files, *after.files}):
        old, new = before.files.get(path), after.files.get(path)
        if old == new:
            continue
        if new is None:
            found.append(f"takes out {path}")
        else:
            c = new.custom
            found.append(f"{'changes' if old else 'adds'} {path}: {c.get('product')} {c.get('version')} for "
                         f"{c.get('platform')}, sequence {c.get('sequence')}, {new.length} bytes, "
                         f"sha256 {new.sha256}")  # fmt: skip
    for r in sorted({*before.pardons, *after.pardons}):
        if before.pardons.get(r) != after.pardons.get(r):
            found.append(f"pardons {r}, which was recalled" if r in after.pardons else f"pardons {r} no longer")
    return tuple(found)
