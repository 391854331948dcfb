"""Use cases of tenancy: the first owner, signing in, people, tokens, and who a secret belongs to.

Each method is one transaction and, where something of consequence changes, one audit entry in it. Secrets leave
these methods once (login link, cookie, token) and are kept as hashes only. The use cases stand in `signing_in`,
`people` and `tokens`, over what they share in `parts`; everybody else sees the one `TenancyService`.
"""

from __future__ import annotations

from brakeline.core.clock import Clock
from brakeline.core.errors import NotFound
from brakeline.core.ids import TenantId
from brakeline.platform.database import Database
from brakeline.tenancy import audit, store
from brakeline.tenancy.approvals import Approvals
from brakeline.tenancy.model import Principal, Tenant
from brakeline.tenancy.parts import Ids
from brakeline.tenancy.passwords import secret_hash
from brakeline.tenancy.people import People
from brakeline.tenancy.signing_in import FIRST_TENANT, SigningIn
from brakeline.tenancy.tokens import Tokens
from brakeline.tenancy.two_people import Act


class TenancyService(SigningIn, People, Tokens):
    """Everything about who is there and what they may do."""

    def __init__(self, db: Database, clock: Clock, ids: Ids) -> None:
        super().__init__(db, clock, ids)
        self.approvals = Approvals(db, clock, ids, self)
        self.approvals.register(Act.ROLES, self)

    def presser(self, secret: str) -> Principal | None:
        """Whose cookie or token this was within a quarter of an hour, to brake and for nothing else. In memory."""
        return self.remembered.presser(secret_hash(secret), self._clock.now_ms())

    async def tenants(self) -> list[TenantId]:
        """Ids of all tenants of this installation."""
        async with self._db.system() as conn:
            return [TenantId(t.tenant_id) for t in await store.tenants(conn)]

    async def first_tenant(self) -> Tenant:
        """The tenant that `bootstrap` made."""
        async with self._db.system() as conn:
            found = next((t for t in await store.tenants(conn) if t.name == FIRST_TENANT), None)
        if found is None:
            raise NotFound("there is no tenant yet; start the server once")
        return found

    async def audit_entries(self, principal: Principal, before: int | None, limit: int) -> tuple[audit.Entry, ...]:
        """Newest first, older than sequence `before`."""
        principal.require("audit.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await audit.entries_before(conn, before, limit)

    async def audit_verify(self, principal: Principal) -> audit.Verified:
        """Check the tenant's whole chain."""
        principal.require("audit.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await audit.verify(conn, principal.tenant_id)
