"""From untrusted documents to what may be believed, in one pure call. The launcher's only door to trust.

Invariants: never raises for a bad document; each one that cannot be verified is left out and named as a problem, and
the cached one goes on counting. Nothing is offered unless signed targets, the conductor's grant and the cell's lease
agree on it, now. Recalls hold without a clock, without a network, and whatever a follow order says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from brakeline.trust import metadata, statements
from brakeline.trust.envelope import Envelope, count_of, is_count, text_of
from brakeline.trust.errors import Distrust
from brakeline.trust.metadata import CONTENT, Root, Target, Targets
from brakeline.trust.model import Assessment, ClockReading, Documents, Floors, Follow, Offered, Problem, Who
from brakeline.trust.statements import Lease, Recall
from brakeline.trust.times import believable_ms

RELEASE_BYTES_MAX: Final = 64 * 1024 * 1024
AGENT: Final = "agent"
T = TypeVar("T")


@dataclass(slots=True)
class _Work:
    """What is known so far; each step adds to it or adds a problem."""

    who: Who
    floors: Floors
    documents: Documents = field(default_factory=Documents)
    problems: list[Problem] = field(default_factory=list)
    now_ms: int = 0

    def attempt(self, name: str, step: Callable[[], T]) -> T | None:
        """The step's result, or None and a problem."""
        try:
            return step()
        except Distrust as e:
            self.problems.append(Problem(e.reason, f"{name}: {e.text}"))
            return None


def assess(pinned_root: str, cached: Documents, fetched: Documents | None, who: Who, clock: ClockReading,
           floors: Floors) -> Assessment:  # fmt: skip
    """What may be believed of what was `cached` and what was `fetched` just now (None = nothing could be had)."""
    work = _Work(who, floors)
    root = work.attempt("root", lambda: metadata.pinned(pinned_root))
    if root is None:
        return Assessment(cached, floors, 0, fresh=False, problems=tuple(work.problems))
    new = fetched or Documents()
    root = _follow_roots(work, root, (*cached.roots, *new.roots))
    if root.version < floors.root:
        return _under_an_old_root(work, root, cached, new)
    signed_ms = _cell_time(work, root, new, clock)
    work.now_ms = believable_ms(clock, work.floors, signed_ms)
    if not work.now_ms:
        text = (
            "the clock is more than seven days ahead of the newest signed time; nothing new is installed until the cell"
        )
        work.problems.append(Problem("clock_skew", f"{text} has told the time or the clock is set"))
    _root_expiry(work, root)
    targets, content = _targets(work, root, cached, new)
    recall = _newest(
        work, "recall", cached.recall, new.recall, lambda t: statements.recall_of(root, t, who, work.floors.recall)
    )
    follow = _newest(
        work, "follow", cached.follow, new.follow, lambda t: statements.follow_of(root, t, who, work.floors.follow)
    )
    _raise_floors(work, recall, follow, signed_ms)
    newest = _offered(work, root, targets, content, new.leases, follow or Follow())
    recalled = _recalled(recall, targets)
    offered = {p: o for p, o in newest.items() if o.release_id not in recalled}
    pardoned = _pardoned(recall, targets)
    known = tuple(o for product in _products(who) for o in _known(who, product, targets, content))
    also = tuple(offered[p] for p in _products(who)[1:] if p in offered)
    return Assessment(
        work.documents, work.floors, work.now_ms, signed_ms > 0, recalled, pardoned, known, offered.get(who.product),
        follow or Follow(), tuple(work.problems), also,
    )  # fmt: skip


def _products(who: Who) -> tuple[str, ...]:
    return tuple(dict.fromkeys((who.product, *who.also)))


def _follow_roots(work: _Work, root: Root, texts: tuple[str, ...]) -> Root:
    """Along the chain of successors. Where online keys were exchanged, what the old ones had counted up to is void."""
    kept: list[str] = []
    for text in texts[: 2 * metadata.ROOTS_MAX]:
        try:
            following = metadata.successor(root, text)
        except Distrust as e:
            if e.reason != "version" and text not in kept:
                work.problems.append(Problem(e.reason, f"root: {e.text}"))
            continue
        if following.version > work.floors.root:
            work.floors = _fresh_floors(work, root, following)
        root = following
        kept.append(text)
    if root.version < work.floors.root:
        text = f"root {work.floors.root} was seen before, only root {root.version} is here"
        work.problems.append(
            Problem("rollback", f"{text}: nothing new is installed until the cell serves the newer one again")
        )
    work.documents = replace(work.documents, roots=tuple(kept))
    return root


def _under_an_old_root(work: _Work, root: Root, cached: Documents, new: Documents) -> Assessment:
    """A newer root was seen and is lost: it may have given up every key of this one. What forbids holds; nothing is
    permitted, and no number rises that the newer keys would have to overtake."""
    recall = _newest(
        work, "recall", cached.recall, new.recall, lambda t: statements.recall_of(root, t, work.who, work.floors.recall)
    )
    documents = replace(cached, roots=work.documents.roots)
    return Assessment(
        documents, work.floors, 0, fresh=False, recalled=_recalled(recall, None), problems=tuple(work.problems)
    )


def _fresh_floors(work: _Work, old: Root, new: Root) -> Floors:
    floors = replace(work.floors, root=new.version)
    roles = {"timestamp": "timestamp", "snapshot": "snapshot", "recall": f"recall/{work.who.cell}",
             "follow": f"cell/{work.who.cell}"}  # fmt: skip
    for name, role in roles.items():
        if _keys(old, role) != _keys(new, role):
            floors = replace(floors, **{name: 0})
    return floors


def _keys(root: Root, role: str) -> frozenset[str]:
    try:
        return frozenset(root.signers(role).keys)
    except Distrust:
        return frozenset()


def _cell_time(work: _Work, root: Root, new: Documents, clock: ClockReading) -> int:
    if not new.time:
        return 0
    return work.attempt("time", lambda: statements.cell_time_ms(root, new.time, work.who, clock.nonce)) or 0


def _root_expiry(work: _Work, root: Root) -> None:
    if work.now_ms and root.expires_ms <= work.now_ms:
        work.problems.append(Problem("metadata_expired", "the root has expired: nothing new is installed until its "
                                     "holders have signed a new one; what runs goes on"))  # fmt: skip
        work.now_ms = 0


def _newest(work: _Work, name: str, cached: str, new: str, check: Callable[[str], T]) -> T | None:
    """What was fetched if it is believed, else what was cached if that is."""
    for text in dict.fromkeys(t for t in (new, cached) if t):
        found = work.attempt(name, lambda text=text: check(text))  # type: ignore[misc]
        if found is not None:
            work.documents = replace(work.documents, **{name: text})  # type: ignore[arg-type]
            return found
    return None


# --- targets -------------------------------------------------------------------------------------------------------


def _targets(work: _Work, root: Root, cached: Documents, new: Documents) -> tuple[Targets | None, Targets | None]:
    """The targets of the newest set of documents that agree with each other."""
    for documents in dict.fromkeys(_sets(cached, new)):
        found = work.attempt("releases", lambda d=documents: _one_set(work, root, d))  # type: ignore[misc]
        if found is not None:
            return found
    return None, None


def _sets(cached: Documents, new: Documents) -> list[Documents]:
    """Timestamp, snapshot, targets, content of each source; a fetched text may stand on a cached one below it."""

    def pick(a: Documents, b: Documents) -> Documents:
        return Documents((), a.timestamp, a.snapshot or b.snapshot, a.targets or b.targets, a.content or b.content)

    return [pick(d, cached) for d in (new, cached) if d.timestamp]


def _one_set(work: _Work, root: Root, d: Documents) -> tuple[Targets, Targets | None]:
    floors = work.floors
    timestamp = metadata.checked(d.timestamp, "timestamp", root.signers("timestamp"), floors.timestamp)
    snapshot = metadata.checked(d.snapshot, "snapshot", root.signers("snapshot"), floors.snapshot)
    metadata.listed(timestamp.signed.get("meta"), "snapshot.json", d.snapshot, snapshot)
    raw = metadata.checked(d.targets, "targets", root.signers("targets"), floors.targets)
    metadata.listed(snapshot.signed.get("meta"), "targets.json", d.targets, raw)
    targets = metadata.targets_of(raw)
    content, content_raw = _content(work, d, snapshot, targets)
    _expiry(work, (("timestamp", timestamp), ("snapshot", snapshot), ("targets", raw)))
    work.floors = replace(
        floors,
        timestamp=count_of(timestamp.signed, "version"),
        snapshot=count_of(snapshot.signed, "version"),
        targets=targets.version,
        content=content.version if content else floors.content,
    )
    work.documents = replace(
        work.documents, timestamp=d.timestamp, snapshot=d.snapshot, targets=d.targets, content=content_raw
    )
    return targets, content


def _content(work: _Work, d: Documents, snapshot: Envelope, targets: Targets) -> tuple[Targets | None, str]:
    """The delegated role of endpoint content; its trouble is its own."""
    if targets.delegated is None or not d.content:
        return None, ""

    def check() -> Targets:
        assert targets.delegated is not None
        envelope = metadata.checked(d.content, CONTENT, targets.delegated, work.floors.content)
        metadata.listed(snapshot.signed.get("meta"), "content.json", d.content, envelope)
        if work.now_ms and metadata.expires_ms(envelope) <= work.now_ms:
            raise Distrust("metadata_expired", "the content role has expired")
        return metadata.targets_of(envelope, "content/")

    found = work.attempt(CONTENT, check)
    return found, d.content if found else ""


def _expiry(work: _Work, documents: tuple[tuple[str, Envelope], ...]) -> None:
    """Expired metadata is remembered, and forbids still; it permits nothing new."""
    expired = [name for name, envelope in documents if work.now_ms and metadata.expires_ms(envelope) <= work.now_ms]
    if expired:
        text = (
            f"{', '.join(expired)} expired: nothing new is installed until newer metadata can be had; what runs goes on"
        )
        work.problems.append(Problem("metadata_expired", text))
        work.now_ms = 0


def _raise_floors(work: _Work, recall: Recall | None, follow: Follow | None, signed_ms: int) -> None:
    floors = work.floors
    if recall is not None:
        floors = replace(floors, recall=recall.version, time_ms=max(floors.time_ms, recall.issued_ms))
        if work.now_ms and recall.expires_ms <= work.now_ms:
            work.problems.append(
                Problem("recall_expired", "the recall list is old: it forbids still, a newer one may forbid more")
            )
    if follow is not None:
        floors = replace(floors, follow=follow.generation)
    work.floors = replace(floors, time_ms=signed_ms) if signed_ms else floors


def _recalled(recall: Recall | None, targets: Targets | None) -> frozenset[str]:
    """Recalled and not pardoned by the holders of the offline keys. The launcher's record makes it sticky."""
    if recall is None:
        return frozenset()
    pardons = targets.pardons if targets else {}
    return frozenset(r for r in recall.releases if pardons.get(r, -1) < recall.version)


def _pardoned(recall: Recall | None, targets: Targets | None) -> frozenset[str]:
    """Whose recall was taken back, up to the recall list that we know."""
    known = recall.version if recall else 0
    return frozenset(r for r, version in (targets.pardons if targets else {}).items() if version >= known)


def _known(who: Who, product: str, targets: Targets | None, content: Targets | None) -> tuple[Offered, ...]:
    """Every signed release of a product for this platform, without any permission to install it anew."""
    role = content if product == CONTENT else targets
    found = []
    for target in role.files.values() if role else ():
        said = target.custom
        if said.get("product") == product and said.get("platform") in ("any", who.platform):
            version, sequence = text_of(said, "version"), said.get("sequence")
            number = sequence if is_count(sequence) else 0
            found.append(Offered(product, version, number or 0, target.path, target.sha256, target.length, "", 0, 0))
    return tuple(found)


# --- offers --------------------------------------------------------------------------------------------------------


def _offered(work: _Work, root: Root, targets: Targets | None, content: Targets | None, texts: tuple[str, ...],
             follow: Follow) -> dict[str, Offered]:  # fmt: skip
    """By product: the newest release that is leased to this endpoint now."""
    found: dict[str, Offered] = {}
    for text in texts:
        lease = work.attempt("lease", lambda text=text: statements.lease_of(root, text, work.who))  # type: ignore[misc]
        if lease is None:
            continue
        offered = work.attempt("lease", lambda lease=lease: _agreed(work, lease, targets, content, follow))  # type: ignore[misc]
        if offered is not None and (offered.product not in found or offered.sequence > found[offered.product].sequence):
            found[offered.product] = offered
    return found


def _agreed(
    work: _Work, lease: Lease, targets: Targets | None, content: Targets | None, follow: Follow
) -> Offered | None:
    """The lease as an offer, None if it is for others; `Distrust` if it should not be there."""
    if text_of(lease.release, "product") not in _products(work.who) or statements.reaches(
        lease, work.who, follow.channel or work.who.channel
    ):
        return None
    if not work.now_ms or targets is None:
        return None  # said already: expired, skewed or missing metadata
    if lease.expires_ms <= work.now_ms:
        raise Distrust("expired", "the lease has expired; the cell will sign another while the rollout goes on")
    if lease.issued_ms - work.now_ms > statements.AHEAD_MS_MAX:
        raise Distrust("ahead", "the lease is of a later time than now: nobody signs a stock of them")
    offered = _named(lease, targets, content)
    custom = _target_of(offered.path, targets, content).custom
    if custom.get("platform") not in ("any", work.who.platform):
        raise Distrust(
            "wrong_platform", f"{offered.release_id} is for {custom.get('platform')}, this is {work.who.platform}"
        )
    if offered.product != text_of(lease.release, "product"):
        raise Distrust("mismatch", f"the lease calls {offered.path} another product than its signers")
    if offered.sequence < work.floors.of(offered.product):
        raise Distrust("downgrade", f"{offered.release_id} is older than what was confirmed here; older releases are "
                       "never downloaded")  # fmt: skip
    pinned = offered.product == AGENT and follow.pin not in ("", offered.release_id)  # a pin names an agent's release
    if not follow.self_update or pinned:
        raise Distrust("pinned", f"{offered.release_id} is not taken: a policy has switched self-update off or pins "
                       f"{follow.pin or 'the present release'}")  # fmt: skip
    return offered


def _target_of(path: str, targets: Targets, content: Targets | None) -> Target:
    role = content if path.startswith("content/") else targets  # each signs what is its own, and nothing else
    target = role.files.get(path) if role else None
    if target is None or (text_of(target.custom, "product") == CONTENT) != (role is content):
        raise Distrust("unsigned", f"{path!r} is leased, but the holders of the offline keys have not signed it")
    return target


def _named(lease: Lease, targets: Targets, content: Targets | None) -> Offered:
    """The target that the lease names, if both say the same of it."""
    target = _target_of(text_of(lease.release, "path"), targets, content)
    said = target.custom
    if target.sha256 != text_of(lease.release, "sha256") or target.length != lease.release.get("length"):
        raise Distrust("mismatch", f"the lease names another file than the signed {target.path}")
    if target.length > RELEASE_BYTES_MAX:
        raise Distrust("too_large", f"{target.path} is larger than {RELEASE_BYTES_MAX} bytes")
    return Offered(
        text_of(said, "product"), text_of(said, "version"), count_of(said, "sequence"), target.path, target.sha256,
        target.length, lease.rollout_id, lease.generation, lease.expires_ms,
    )  # fmt: skip
