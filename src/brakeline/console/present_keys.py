"""Where the keys of releases are, what expires when, what people have to do -> view-models. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from brakeline.console.present import span
from brakeline.console.views import Badge, Fact, Tone
from brakeline.console.views_release import KeyRow, ReleaseKeysView
from brakeline.releases.model import OFFLINE_ROLES, WARN_BEFORE_MS, KeyState, Status

PURPOSES: Final = {
    "root": "says which keys count, for all other roles", "targets": "signs which releases exist",
    "content": "signs content of our own", "snapshot": "says which documents belong together",
    "timestamp": "says that they are fresh", "conductor": "signs who may take a release now",
    "cell": "signs leases, the time and orders of this cell", "recall": "signs what must not run",
}  # fmt: skip
ROOTS: Final = {
    "developer": "a developer root, made by this server at its first start",
    "installation": "a root of this installation, made by its own people", "project": "the root of the project",
    "broken": "none can be read",
}  # fmt: skip


def keys_headline(status: Status) -> Badge:
    if status.kind == "broken":
        return Badge("✕", status.headline, Tone.BAD)
    return Badge("!" if status.on_server else "✓", status.headline, Tone.WARN if status.on_server else Tone.OK)


def keys_view(status: Status, now_ms: int) -> ReleaseKeysView:
    """Where the key of each role is, what expires when, and what people have to do."""
    kind = ROOTS.get(status.kind, status.kind)
    return ReleaseKeysView(
        keys_headline(status), status.kind, (
            Fact("Root", f"{kind}; version {status.root_version}"),
            Fact("What launchers pin", "the root they were enrolled with, and every one that it vouches for"),
            Fact("To move the keys away", "brakeline release rotate --offline"),
        ), tuple(key_row(k, now_ms) for k in status.keys), status.warnings, status.useless_keys,
    )  # fmt: skip


def key_row(k: KeyState, now_ms: int) -> KeyRow:
    """One role."""
    if k.here:
        risky = k.role in OFFLINE_ROLES
        place = Badge("!" if risky else "✓", "here", Tone.WARN if risky else Tone.OK)
    else:
        place = Badge("✓", "elsewhere", Tone.OK)
    return KeyRow(
        k.role, PURPOSES.get(k.role, ""), f"{k.threshold} of {len(k.keyids)}", k.where, place,
        expiry(k.expires_ms, now_ms), _urgency(k, now_ms),
    )  # fmt: skip


def _urgency(k: KeyState, now_ms: int) -> Tone:
    left_ms = k.expires_ms - now_ms
    if not k.expires_ms or left_ms > WARN_BEFORE_MS.get(k.role, 0):
        return Tone.IDLE
    return Tone.WARN if left_ms > 0 else Tone.BAD


def expiry(at_ms: int, now_ms: int) -> str:
    if not at_ms:
        return "has no document"
    day = datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")
    return f"{day}, in {span((at_ms - now_ms) / 1000)}" if at_ms > now_ms else f"{day}, over"
