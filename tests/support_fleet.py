"""A small real fleet for integration tests: endpoints enrolled and inventoried through the fleet's own service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from brakeline.core.clock import ManualClock
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import MemoryBus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.digests import inventory_digest
from brakeline.protocol.messages import (
    CheckIn,
    EnrolRequest,
    Facts,
    Health,
    Inventory,
    LauncherReport,
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Status,
    UpdateState,
)
from brakeline.tenancy.model import Principal, system_principal

TENANT = "te_test"
OWNER = system_principal(TENANT, "test")


def deb(name: str, version: str, source: str = "", source_version: str = "", **more: str) -> Package:
    return Package(name, "amd64", version, source or name, source_version or version, **more)


def update(
    name: str, installed: str, candidate: str, *, security: bool = True,
    state: UpdateState = UpdateState.AVAILABLE, reason: str = "",
) -> PendingUpdate:  # fmt: skip
    suite = "Debian-Security:12/oldstable-security" if security else "Debian:12.15/oldstable"
    return PendingUpdate(name, "amd64", installed, candidate, suite, security, state, reason)


@dataclass
class SmallFleet:
    """Its service, and the two things that tests do with endpoints."""

    db: Database
    clock: ManualClock
    ids: IdMaker
    bus: MemoryBus = field(default_factory=MemoryBus)
    sequence: int = 0
    owner: Principal = OWNER

    def __post_init__(self) -> None:
        self.cell = CellIdentity(Ed25519PrivateKey.generate())
        self.service = FleetService(self.db, self.clock, self.ids, self.bus, self.cell)

    async def enrol(
        self, host: str, *, region: str = "eu", tags: tuple[str, ...] = (), os_version: str = "12", kernel: str = "",
        owner: Principal | None = None, facts: Facts | None = None,
    ) -> str:  # fmt: skip
        made = await self.service.create_token(owner or self.owner, region=region, tags=tags)
        facts = facts or Facts(host, "debian", os_version, f"Debian {os_version}", kernel, "amd64")
        key = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        request = EnrolRequest(made.token, key.hex(), host, facts)
        return (await self.service.enrol(request, key, "boot", 1, host)).endpoint_id

    async def inventory(
        self, endpoint_id: str, packages: Sequence[Package], pending: Sequence[PendingUpdate] = (), *,
        refreshed: bool = True,
    ) -> None:  # fmt: skip
        """Send everything anew, as an agent would after a change, and check in."""
        session = await self.service.session(endpoint_id)
        detail = await self.service.get_endpoint(system_principal(session.identity.tenant_id, "test"), endpoint_id)
        self.sequence += 1
        health = PackageManagerHealth(True, lists_refreshed_ms=self.clock.now_ms() if refreshed else 0)
        status = Status(detail.facts, tuple(pending), RebootNeed(False), health)
        sent = Inventory(0, self.sequence, inventory_digest(packages), tuple(packages), (), status)
        ack = await self.service.apply_inventory(session, sent)
        assert not ack.resync
        await self.check_in(endpoint_id)

    async def check_in(self, endpoint_id: str, launcher: LauncherReport | None = None) -> None:
        session = await self.service.session(endpoint_id)
        said = CheckIn("0.1", session.held.sequence, session.held.digest, Health(), launcher=launcher)
        self.service.record_check_in(session, "boot", said)
        await self.service.flush()
