"""The words of releases: what was published, what a rollout asks leases for, and how keys and documents stand. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from brakeline.protocol.messages import ReleaseRef

PRODUCTS: Final = ("agent", "launcher", "content")
CONTENT: Final = "content"
OFFLINE_ROLES: Final = ("root", "targets", CONTENT)  # those that may leave this server
ONLINE_ROLES: Final = ("snapshot", "timestamp", "conductor", "cell", "recall")
DAY_MS: Final = 86_400_000
LIFETIME_MS: Final = {
    "root": 365 * DAY_MS, "targets": 90 * DAY_MS, CONTENT: 90 * DAY_MS, "snapshot": 7 * DAY_MS, "timestamp": DAY_MS,
    "recall": DAY_MS,
}  # fmt: skip
RENEW_BEFORE_MS: Final = {  # who has the key here signs anew when this much is left
    "root": 60 * DAY_MS, "targets": 45 * DAY_MS, CONTENT: 45 * DAY_MS, "snapshot": 4 * DAY_MS,
    "timestamp": DAY_MS // 2, "recall": DAY_MS // 2,
}  # fmt: skip
WARN_BEFORE_MS: Final = {
    "root": 30 * DAY_MS, "targets": 30 * DAY_MS, CONTENT: 30 * DAY_MS, "snapshot": 2 * DAY_MS,
    "timestamp": DAY_MS // 4, "recall": DAY_MS // 4,
}  # fmt: skip
ON_SERVER: Final = "release keys on this server"  # said by console and status until they are rotated offline


@dataclass(frozen=True, slots=True)
class Release:
    """A published release. Times are Unix milliseconds, 0 = it did not happen."""

    product: str
    version: str
    sequence: int
    platform: str
    path: str
    sha256: str
    length: int
    published_ms: int = 0
    published_by: str = ""
    tenant_id: str = ""  # of whoever published it
    notes: str = ""
    withdrawn_ms: int = 0
    withdrawn_reason: str = ""
    recalled_ms: int = 0
    recalled_reason: str = ""
    pardon_asked_ms: int = 0
    pardon_asked_by: str = ""
    pardon_line: tuple[str, ...] = ()  # id of the person who asked
    pardoned_version: int = 0  # up to which recall list the pardon holds; 0 = none

    @property
    def ref(self) -> ReleaseRef:
        """As the protocol names it."""
        return ReleaseRef(self.product, self.version, self.path, self.sha256, self.length, self.sequence)

    @property
    def release_id(self) -> str:
        return self.ref.release_id

    @property
    def state(self) -> str:
        """published | recalled | withdrawn"""
        return "recalled" if self.recalled_ms else "withdrawn" if self.withdrawn_ms else "published"


@dataclass(frozen=True, slots=True)
class LeaseWish:
    """What a rollout of a release asks for: who may take it now. `region` "" = all; `only`: these draws alone. With
    `grant`, rollout and generation are those of the lead that it names."""

    rollout_id: str
    generation: int
    release: ReleaseRef
    channel: str
    region: str
    salt: bytes  # 32
    draw_below: int
    enrolled_before_ms: int
    only: tuple[int, ...] | None = None
    grant: str = ""  # of a conductor elsewhere, in its own words; "" = this cell's own
    until_ms: int = 0  # when that one ends


@dataclass(frozen=True, slots=True)
class KeyState:
    """Where the keys of one role are. `where`: one sentence a key, in the order of `keyids`."""

    role: str
    keyids: tuple[str, ...]
    threshold: int
    where: tuple[str, ...]
    here: bool  # this server alone can sign for the role
    expires_ms: int = 0  # of the role's newest document; 0 = it has none


@dataclass(frozen=True, slots=True)
class Status:
    """How keys and documents stand. `warnings` are sentences that say what to do."""

    kind: str  # developer | installation | project
    root_version: int
    on_server: bool
    headline: str  # "release keys on this server", or where they are
    keys: tuple[KeyState, ...] = ()
    warnings: tuple[str, ...] = ()
    useless_keys: tuple[str, ...] = ()  # files here that no role needs any more
