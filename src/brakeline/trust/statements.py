"""What a cell and a conductor sign online: time, recall, grant, offer lease, follow order. Verified, as frozen types.

A stolen cell key can delay, recall, or lease *signed* releases within the conductor's grant; a conductor's key can
widen grants but sign no lease; a recall key can only forbid. Whose key the root names as `conductor` says who leads
releases here: this cell's own, or that of a conductor elsewhere. Each function raises `Distrust`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from brakeline.core.draw import U_END, draw
from brakeline.core.frozen import dataclass
from brakeline.core.ids import ALPHABET
from brakeline.trust.envelope import Envelope, count_of, from_plain, is_count, parse, text_of, verify
from brakeline.trust.errors import Distrust
from brakeline.trust.metadata import JUMP_MAX, Root
from brakeline.trust.model import Follow, Who
from brakeline.trust.times import parse_ms

LEASE_MS_MAX: Final = 600_000  # grants and leases live ten minutes at most, whatever they say
AHEAD_MS_MAX: Final = LEASE_MS_MAX  # whose clocks differ by more hold anyway; a stock signed for later is worth nothing
SALT_BYTES: Final = 32
RECALLED_MAX: Final = 1000
ONLY_MAX: Final = 1000  # twice the offers that one region gets in one tick
_GRANT: Final = frozenset(
    ("_type", "cell", "rollout_id", "generation", "sha256", "draw_below", "issued", "expires", "spec_version", "salt")
)  # `salt`: from a conductor elsewhere; whoever may choose a salt may choose who has a low place in the draw
_LEASE: Final = (_GRANT - {"sha256"}) | {"region", "channel", "release", "salt", "enrolled_before_ms", "grant", "only"}


@dataclass(frozen=True, slots=True)
class Recall:
    """Releases that must not run. Holds also when it has expired: it can only forbid."""

    version: int
    issued_ms: int
    expires_ms: int
    releases: tuple[str, ...]  # release_ids


@dataclass(frozen=True, slots=True)
class Lease:
    """A cell's permission for the endpoints with a low place in the draw to take one release now. With `only`: for
    those places among them alone."""

    region: str
    channel: str
    rollout_id: str
    generation: int
    release: Mapping[str, Any]
    salt: bytes
    draw_below: int
    enrolled_before_ms: int
    issued_ms: int
    expires_ms: int
    only: frozenset[int] | None = None


def cell_time_ms(root: Root, text: str, who: Who, nonce: str) -> int:
    """The cell's time, if this is its answer to our nonce."""
    envelope = parse(text, "time")
    verify(envelope, root.signers(f"cell/{who.cell}"), "time")
    if not nonce or text_of(envelope.signed, "nonce") != nonce or text_of(envelope.signed, "cell") != who.cell:
        raise Distrust("stale", "the time is no answer to this question; an older answer is being repeated")
    return count_of(envelope.signed, "now_ms")


def recall_of(root: Root, text: str, who: Who, floor: int) -> Recall:
    """The recall list of our cell, not older than one that was seen."""
    envelope = parse(text, "recall")
    verify(envelope, root.signers(f"recall/{who.cell}"), "recall")
    signed = envelope.signed
    version = count_of(signed, "version")
    if version < floor:
        raise Distrust("rollback", f"recall list {version} is older than {floor}, which this endpoint has seen already")
    if version - floor > JUMP_MAX:
        raise Distrust("version_jump", f"the recall list jumps from {floor} to {version}")
    entries = signed.get("releases")
    if not isinstance(entries, list) or len(entries) > RECALLED_MAX or text_of(signed, "cell") != who.cell:
        raise Distrust("malformed", "the recall list names no releases, too many, or another cell")
    releases = tuple(r for entry in entries if (r := text_of(entry, "release_id")))
    return Recall(version, parse_ms(text_of(signed, "issued")), parse_ms(text_of(signed, "expires")), releases)


def lease_of(root: Root, text: str, who: Who) -> Lease:
    """A lease of our cell within the conductor's grant that it carries. Its time is judged by the caller."""
    envelope = parse(text, "lease")
    verify(envelope, root.signers(f"cell/{who.cell}"), "lease")
    signed = envelope.signed
    _no_more_than(signed, _LEASE, "lease")
    lease = _lease(signed)
    if text_of(signed, "cell") != who.cell:
        raise Distrust("other_cell", "the lease is of another cell")
    grant = from_plain(signed.get("grant"), "grant")
    verify(grant, root.signers("conductor"), "grant")
    _no_more_than(grant.signed, _GRANT, "grant")
    _within(lease, grant, who)
    return lease


def _no_more_than(signed: Mapping[str, Any], known: frozenset[str], who: str) -> None:
    """What permits must be understood whole: a field that this version does not know may narrow it. (What forbids holds
    whatever else it says.)"""
    if unknown := sorted(set(signed) - known):
        raise Distrust("unknown_field", f"the {who} has a field {unknown[0][:40]!r} that this endpoint does not know")


def _lease(signed: Mapping[str, Any]) -> Lease:
    release = signed.get("release")
    try:
        salt = bytes.fromhex(text_of(signed, "salt"))
    except ValueError:
        salt = b""
    if not isinstance(release, dict) or len(salt) != SALT_BYTES:
        raise Distrust("malformed", "the lease names no release or has no salt")
    lease = Lease(
        text_of(signed, "region"), text_of(signed, "channel"), text_of(signed, "rollout_id"),
        count_of(signed, "generation"), release, salt, min(count_of(signed, "draw_below"), U_END),
        count_of(signed, "enrolled_before_ms"), parse_ms(text_of(signed, "issued")),
        parse_ms(text_of(signed, "expires")), _only(signed) if "only" in signed else None,
    )  # fmt: skip
    if not 0 < lease.expires_ms - lease.issued_ms <= LEASE_MS_MAX:
        raise Distrust("too_long", "a lease lives ten minutes at most")
    return lease


def _only(signed: Mapping[str, Any]) -> frozenset[int]:
    only = signed["only"]
    if not isinstance(only, list) or len(only) > ONLY_MAX or not all(is_count(u) for u in only):
        raise Distrust("malformed", f"the lease is not for a list of {ONLY_MAX} places in the draw at most")
    return frozenset(only)


def _within(lease: Lease, grant: Envelope, who: Who) -> None:
    """Same cell, rollout, generation and release; no wider, no longer than granted."""
    signed = grant.signed
    issued_ms, expires_ms = parse_ms(text_of(signed, "issued")), parse_ms(text_of(signed, "expires"))
    same = (
        text_of(signed, "cell") == who.cell
        and text_of(signed, "rollout_id") == lease.rollout_id
        and signed.get("generation") == lease.generation
        and text_of(signed, "sha256") == text_of(lease.release, "sha256")
    )
    if not same:
        raise Distrust("other_grant", "the grant in the lease is for another cell, rollout, generation or release")
    if "salt" in signed and text_of(signed, "salt") != lease.salt.hex():
        raise Distrust("other_grant", "the lease draws with another salt than was granted, so it would reach others")
    if not 0 < expires_ms - issued_ms <= LEASE_MS_MAX:
        raise Distrust("too_long", "a grant lives ten minutes at most")
    if lease.draw_below > count_of(signed, "draw_below"):
        raise Distrust("widened", "the lease reaches more endpoints than the conductor has granted")
    if lease.expires_ms > expires_ms:
        raise Distrust("too_long", "the lease outlives the conductor's grant")
    if issued_ms - lease.issued_ms > AHEAD_MS_MAX:
        raise Distrust("ahead", "the grant in the lease is of a later time than the lease")


def reaches(lease: Lease, who: Who, channel: str) -> str:
    """Why the lease is not for this endpoint; "" = it is."""
    if lease.region and lease.region != who.region:
        return "it is for another region"
    if lease.channel != channel:
        return f"it is for channel {lease.channel}"
    if lease.enrolled_before_ms and enrolled_ms(who.endpoint_id) >= lease.enrolled_before_ms:
        return "this endpoint was enrolled after the rollout began"
    u = draw(lease.salt, who.endpoint_id)
    if u >= lease.draw_below or (lease.only is not None and u not in lease.only):
        return "it is not this endpoint's turn yet"
    return ""


def enrolled_ms(endpoint_id: str) -> int:
    """When the server made this id; 0 for an id that is none of ours."""
    digits = endpoint_id.partition("_")[2]
    if len(digits) != 26 or any(c not in ALPHABET for c in digits):
        return 0
    number = 0
    for c in digits:
        number = number * 32 + ALPHABET.index(c)
    return number >> 80


def follow_of(root: Root, text: str, who: Who, floor: int) -> Follow:
    """What our cell tells this endpoint's launcher, not older than what was seen."""
    envelope = parse(text, "follow")
    verify(envelope, root.signers(f"cell/{who.cell}"), "follow order")
    signed = envelope.signed
    if text_of(signed, "endpoint_id") != who.endpoint_id or text_of(signed, "cell") != who.cell:
        raise Distrust("other_endpoint", "the follow order is for another endpoint")
    generation = signed.get("generation")
    if not is_count(generation) or count_of(signed, "generation") < floor:
        raise Distrust("rollback", "the follow order is older than one that this endpoint has seen already")
    if count_of(signed, "generation") - floor > JUMP_MAX:
        raise Distrust(
            "version_jump", "the follow order's number is absurdly high; a stolen key would lock us out like that"
        )
    return Follow(
        count_of(signed, "generation"), text_of(signed, "channel"), signed.get("self_update") is not False,
        text_of(signed, "pin"),
    )  # fmt: skip
