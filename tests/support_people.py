"""People of one organisation, signed in by password, who know each other for as long as a test needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from brakeline.core.clock import ManualClock
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.rollout.acts import Acts
from brakeline.rollout.service import RolloutService
from brakeline.tenancy.model import NewSession, Principal
from brakeline.tenancy.service import TenancyService
from brakeline.tenancy.two_people import RELATED_MS

PASSWORD = "four random words, really"


@dataclass
class House:
    """An organisation with its first owner, Olga."""

    tenancy: TenancyService
    clock: ManualClock
    emails: dict[str, str] = field(default_factory=dict)  # person id -> address

    async def add(self, name: str, role: str, *, by: Principal) -> Principal:
        """A new person with a password, made by `by` just now."""
        link = await self.tenancy.add_person(by, f"{name.lower()}@example.org", name, [role])
        return await self.enter_by(link.secret, link.person.email)

    async def enter_by(self, secret: str, email: str) -> Principal:
        session = await self.tenancy.redeem_login_link(secret)
        await self.tenancy.set_password(session.principal, PASSWORD)
        self.emails[session.principal.id] = email
        return session.principal

    async def log_in(self, who: Principal) -> Principal:
        """A session that has just begun."""
        return (await self.session(who)).principal

    async def session(self, who: Principal) -> NewSession:
        return await self.tenancy.login(self.emails[who.id], PASSWORD)

    def later(self, ms: int = RELATED_MS) -> None:
        """As if what was done before were done by people who have nothing to do with each other any more."""
        self.clock.advance(ms / 1000)

    async def approve(self, who: Principal, approval_id: str) -> str:
        """What came of it when `who` looks and agrees in a new session."""
        session = await self.log_in(who)
        seen = await self.tenancy.approvals.get(session, approval_id)
        return (await self.tenancy.approvals.approve(session, approval_id, seen.digest)).state


async def new_house(database: Database, clock: ManualClock, ids: IdMaker) -> tuple[House, Principal]:
    """The first owner, right after the first start."""
    tenancy = TenancyService(database, clock, ids)
    link = await tenancy.bootstrap()
    assert link is not None
    house = House(tenancy, clock)
    return house, await house.enter_by(link.secret, link.person.email)


async def wired(
    database: Database, clock: ManualClock, ids: IdMaker, rollouts: RolloutService, tenant_id: str
) -> TenancyService:
    """Whom `rollouts` asks for what takes two people, in an organisation that was made just now."""
    tenancy = TenancyService(database, clock, ids)
    async with database.system() as conn:
        made_at = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
        await conn.execute("SELECT brakeline.tenant_create($1, $1, $2)", tenant_id, made_at)
    Acts(rollouts, tenancy.approvals)
    return tenancy
