"""How an endpoint gets its identity. Words of `messages`."""

from __future__ import annotations

from brakeline.core.frozen import dataclass
from brakeline.protocol.inventory import Facts


@dataclass(frozen=True, slots=True)
class EnrolRequest:
    """`POST /agent/v1/enrol`, signed with the key it names (proof of possession)."""

    token: str
    public_key: str  # hex, 32 bytes Ed25519
    hostname: str
    facts: Facts
    agent_version: str = ""


@dataclass(frozen=True, slots=True)
class Secret:
    """A fresh check-in secret. Sent once, here, and never again."""

    secret: str  # hex, 32 bytes
    expires_ms: int
    server_ms: int


@dataclass(frozen=True, slots=True)
class EnrolReply:
    """The endpoint's identity; the id is chosen by the server."""

    endpoint_id: str
    secret: Secret
    cell_key: str  # hex Ed25519 public key under which this cell signs orders
    cell: str
    region: str
    channel: str = "stable"  # of releases, for the launcher; each tenant has its own: "stable/<tenant id>"
