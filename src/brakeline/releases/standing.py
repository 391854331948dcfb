"""How keys and documents stand: where the key of each role is, what expires when, and what people have to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from brakeline.releases import signing
from brakeline.releases.model import (
    CONTENT,
    OFFLINE_ROLES,
    ON_SERVER,
    ONLINE_ROLES,
    WARN_BEFORE_MS,
    KeyState,
    Release,
    Status,
)
from brakeline.releases.publisher import Publisher
from brakeline.releases.repository import expires_ms_of
from brakeline.releases.signing import Holder
from brakeline.trust.model import Documents
from brakeline.trust.statements import RECALLED_MAX

OFFLINE = "release keys are offline"
ELSEWHERE = "release keys are reachable from this server"


def status_of(
    publisher: Publisher, documents: Documents, releases: Iterable[Release], notes: Iterable[str], now_ms: int
) -> Status:
    """Everything that people ask of keys."""
    roster = signing.roster_of(documents.roots[-1])
    content = signing.content_holder(documents.targets) if documents.targets else None
    holders = {role: roster.roles.get(publisher.full_role(role)) for role in (*OFFLINE_ROLES, *ONLINE_ROLES)}
    holders[CONTENT] = content
    texts = {"root": documents.roots[-1]} | {
        role: getattr(documents, role) for role in ("targets", CONTENT, "snapshot", "timestamp", "recall")
    }
    keys = tuple(
        _key_state(publisher, role, holder, expires_ms_of(texts.get(role, "")), roster.names)
        for role, holder in holders.items()
        if holder is not None
    )  # fmt: skip
    offline_able = [k for k in keys if k.role in OFFLINE_ROLES]
    on_server = any("file on this server" in w for k in offline_able for w in k.where)
    headline = ON_SERVER if on_server else ELSEWHERE if any(k.here for k in offline_able) else OFFLINE
    needed = [keyid for k in keys for keyid in k.keyids]
    return Status(
        roster.kind, roster.version, on_server, headline, keys,
        tuple(_warnings(publisher, keys, releases, notes, on_server, now_ms)), publisher.keys.useless(needed),
    )  # fmt: skip


def _key_state(publisher: Publisher, role: str, holder: Holder, expires_ms: int, names: Mapping[str, str]) -> KeyState:
    here = bool(publisher.keys.enough(holder.keyids, holder.threshold))
    where = tuple(
        publisher.keys.where(k) + (f" ({names[k]})" if k in names and not publisher.keys.here(k) else "")
        for k in holder.keyids
    )
    return KeyState(role, holder.keyids, holder.threshold, where, here, expires_ms)


def _warnings(publisher: Publisher, keys: Iterable[KeyState], releases: Iterable[Release], notes: Iterable[str],
              on_server: bool, now_ms: int) -> list[str]:  # fmt: skip
    found = list(notes)
    for key in keys:
        if key.expires_ms and key.expires_ms - now_ms < WARN_BEFORE_MS[key.role]:
            verb = "has expired" if key.expires_ms <= now_ms else "expires"
            day = datetime.fromtimestamp(key.expires_ms / 1000, UTC).strftime("%Y-%m-%d")
            found.append(f"{key.role} {verb} on {day}: endpoints run on and recalls hold, but nothing new is installed "
                         "until its holders have signed it again")  # fmt: skip
    known = tuple(releases)
    here = publisher.bundles.present()
    found += [f"the bundle of {r.release_id} is not on this server: publish it again"
              for r in known if not r.withdrawn_ms and r.sha256 not in here]  # fmt: skip
    if sum(1 for r in known if r.recalled_ms) > RECALLED_MAX:
        found.append(f"more than {RECALLED_MAX} releases are recalled: the list names the newest of them only")
    if on_server:
        found.append(f"{ON_SERVER}: whoever takes it over can sign releases. Make keys elsewhere and exchange them: "
                     "brakeline release rotate --offline")  # fmt: skip
    return found + list(publisher.keys.problems)
