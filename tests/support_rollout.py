"""A small fleet of endpoint twins that talk to the real rollout service on a real database, at the test's pace."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from brakeline.core.clock import ManualClock
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.model import EndpointIdentity, Presence, Readings
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import MemoryBus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.codec import decode
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import (
    DRILL_FAILURE,
    Action,
    ActionKind,
    Candidate,
    CheckIn,
    Harms,
    Health,
    LauncherReport,
    NotReady,
    Offer,
    Outcome,
    PackageChange,
    PeopleWait,
    Ready,
    RestartOrder,
    RestartStanding,
    SignedOrder,
    Transaction,
    TransactionResult,
    WayBack,
)
from brakeline.rollout.acts import Acts
from brakeline.rollout.freezing import FreezeView, Freezing
from brakeline.rollout.model import Change, Guard, Pin, Policy, Ring
from brakeline.rollout.presets import rehearsal
from brakeline.rollout.restarting import Restarting
from brakeline.rollout.service import RolloutService
from brakeline.tenancy.model import PERMISSIONS, Principal
from brakeline.tenancy.service import TenancyService

OWNER = Principal("te_1", "pe_1", "person", "Olga", PERMISSIONS)
PIN = Pin("libssl3", "3.0.17-1~deb12u2")
CHANGE = Change((PIN,))


def quick_policy(*counts: int, bake_s: int = 60) -> Policy:
    """Rings with these cumulative counts, then everybody; checkpoints after 40, 60, 90 and 120 s."""
    rings = (*(Ring(f"ring {n}", bake_s, count=n) for n in counts), Ring("all", bake_s, share=1.0))
    return rehearsal(Policy(rings, guard=Guard(holdout=0.0)), interval_s=10)


@dataclass
class Twin:
    """What one endpoint does with a change: installs it, fails, or falls silent for good."""

    identity: EndpointIdentity
    hostname: str
    fate: str = "good"  # good | postinst | network | nothing_to_do | idle (takes a release, then tells nothing of it)
    # | wedged (answers, and takes nothing) | limits (refuses its offer by limits of its own)
    # | misses (lets its first offer go by) | waits (keeps its offer in the queue, until it is told to drop it)
    version: str = "3.0.15-1"
    former: str = ""  # what the way back leads to; "" = nothing was changed yet
    changed: str = ""  # the version that an update has left there, whole or half
    keeps: bool = True  # a way back, before it begins an update
    alive: bool = True
    confirmed: str = ""  # release that its launcher has confirmed
    orders: list[SignedOrder] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)
    told: list[Offer] = field(default_factory=list)  # of drills
    queued: list[Offer] = field(default_factory=list)
    unsent: list[TransactionResult] = field(default_factory=list)
    halted: tuple[str, ...] = ()
    health: Health = field(default_factory=Health)
    harms: Harms | None = None  # its agent tells none
    cannot: str = ""  # the code by which its dry run says that it could not start now
    allows: bool = False  # its own settings allow restarts by order
    boots: int = 1
    dies_at_restart: bool = False
    refuses: str = ""
    drills: bool = True  # its agent knows what an order of a drill is
    restarts: list[RestartOrder] = field(default_factory=list)
    windowed: bool = False  # it keeps orders to restart for a maintenance window that does not come
    kept: list[SignedOrder] = field(default_factory=list)  # those it was told meanwhile
    waits: PeopleWait | None = None  # people there, for whom an order to restart waits
    would_refuse: str = ""  # what it says once it is told to restart

    @property
    def boot_id(self) -> str:
        return f"boot {self.boots}"


class SmallFleet:
    """Twins, the service under test, and a clock that they share."""

    def __init__(self, db: Database, clock: ManualClock, directory: Path) -> None:
        self.db, self.clock, self.directory = db, clock, directory
        self.cell = CellIdentity.load(directory / "cell.key")
        self.twins: list[Twin] = []
        self.service = self.new_service()

    def new_service(self) -> RolloutService:
        """As after kill -9: nothing survives but database and journal."""
        ids, bus = IdMaker(self.clock), MemoryBus()
        self.fleet = FleetService(self.db, self.clock, ids, bus, self.cell)
        self.service = RolloutService(self.db, self.clock, ids, bus, self.fleet, self.cell,
                                      self.directory / "brake.journal")  # fmt: skip
        self.restarting = Restarting(self.service)
        self.tenancy = TenancyService(self.db, self.clock, ids)
        self.freezing = Freezing(self.service, self.tenancy.approvals)
        Acts(self.service, self.tenancy.approvals)
        return self.service

    @property
    def frozen(self) -> FreezeView:
        return self.freezing.frozen(OWNER.tenant_id)

    async def enrol(self, count: int, regions: tuple[str, ...] = ("eu", "us"), fate: str = "good") -> None:
        """`count` endpoints as the fleet slice would have them."""
        async with self.db.tenant(OWNER.tenant_id) as conn:
            made_at = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
            await conn.execute("SELECT brakeline.tenant_create($1, 'default', $2)", OWNER.tenant_id, made_at)
            for i in range(count):
                number = len(self.twins)
                endpoint_id, region = f"ep_{number:026}", regions[i % len(regions)]
                await conn.execute(
                    """INSERT INTO brakeline.endpoint (tenant_id, endpoint_id, region, hostname, os_id, os_version,
                         os_name, kernel, architecture, machine_class, agent_version, package_manager, enrolled_at,
                         enrolled_by)
                       VALUES ($1,$2,$3,$4,'debian','12','Debian 12','6.1','amd64','server','0.1','apt',now(),'et')""",
                    OWNER.tenant_id, endpoint_id, region, f"host-{number}",
                )  # fmt: skip
                identity = EndpointIdentity(OWNER.tenant_id, endpoint_id, b"\0" * 32, region=region)
                self.twins.append(Twin(identity, f"host-{number}", fate))

    async def create(self, policy: Policy, change: Change = CHANGE) -> str:
        """A started rollout over all twins."""
        await self.hear()
        ids = [t.identity.endpoint_id for t in self.twins]
        rollout_id = await self.service.create(OWNER, "libssl3", change, policy, ids)
        await self.service.start(OWNER, rollout_id)
        return rollout_id

    async def hear(self) -> None:
        """Every living endpoint checks in, as the agent plane would record it."""
        for t in self.twins:
            if t.alive:
                report = LauncherReport(running=t.confirmed, confirmed=t.confirmed) if t.confirmed else None
                seen = Presence(
                    self.clock.now_ms(),
                    t.boot_id,
                    launcher=report,
                    readings=Readings.of(t.health),
                    failed_services=t.health.failed_services,
                    harms=t.harms,
                )
                self.fleet.presences.record(OWNER.tenant_id, t.identity.endpoint_id, seen)
        await self.fleet.flush()

    async def round(self, seconds: float = 5) -> None:
        """One exchange of everybody: check in, get ready, take orders, send results; then the executor."""
        self.clock.advance(seconds)
        await self.hear()
        for t in self.twins:
            if t.alive:
                await self._exchange(t)
        await self.service.reconcile()

    async def rounds(self, count: int) -> None:
        for _ in range(count):
            await self.round()

    async def _exchange(self, t: Twin) -> None:
        if t.unsent:
            await self.service.record_results(t.identity, tuple(t.unsent))
            t.unsent.clear()
        candidates = await self.service.candidates_for(t.identity, drills=t.drills)
        orders, t.halted = await self.service.on_check_in(t.identity, self.check_in(t, candidates), t.boot_id)
        self._drop(t)
        self._restart(t, await self.restarting.restart_for(t.identity, self.check_in(t, candidates)))
        for order in orders:
            if order not in t.orders:
                t.orders.append(order)
                self._apply(t, decode(Offer, order.payload.encode()))

    def check_in(self, t: Twin, candidates: tuple[Candidate, ...]) -> CheckIn:
        """What the endpoint says when it knows of `candidates`."""
        ready, not_ready = [], []
        for c in candidates:
            if c.undoes and not t.former:
                not_ready.append(NotReady(c.rollout_id, c.generation, "no_way_back", "none is stored here"))
            elif t.cannot:
                not_ready.append(NotReady(c.rollout_id, c.generation, t.cannot, "its dry run says so"))
            elif t.fate == "nothing_to_do":
                not_ready.append(NotReady(c.rollout_id, c.generation, "nothing_to_do", "already installed"))
            else:
                ready.append(Ready(c.rollout_id, c.generation, transaction(t, c)))
        asked = bool(t.refuses) and not t.restarts
        restart = RestartStanding(t.allows, t.refuses if asked else "", t.waits if t.kept else None)
        told = LauncherReport(running=t.confirmed, confirmed=t.confirmed) if t.confirmed else None
        return CheckIn("0.1", 1, "", t.health, tuple(ready), tuple(not_ready), restart=restart, harms=t.harms,
                       drills=t.drills, launcher=told)  # fmt: skip

    def _drop(self, t: Twin) -> None:
        """End what waits and belongs to a halted rollout, as the agent does."""
        for offer in [o for o in t.queued if o.rollout_id in t.halted]:
            t.queued.remove(offer)
            t.unsent.append(TransactionResult("tx_" + offer.offer_id[3:], offer.offer_id, offer.rollout_id,
                                              offer.generation, Outcome.REFUSED, "halted", "before the start",
                                              started_ms=1, ended_ms=2))  # fmt: skip

    def _restart(self, t: Twin, signed: SignedOrder | None) -> None:
        """As the helper does: an order for another boot is none."""
        if signed is None:
            return
        if t.would_refuse:
            t.refuses = t.would_refuse
        if t.windowed or t.waits is not None:
            t.kept.append(signed)
            return
        order = decode(RestartOrder, signed.payload.encode())
        if order.boot_id == t.boot_id and not t.refuses:
            t.restarts.append(order)
            t.boots += 1
            t.alive = not t.dies_at_restart

    def _apply(self, t: Twin, offer: Offer) -> None:
        if t.fate == "waits":
            t.queued.append(offer)
            return
        if t.fate == "wedged":
            return
        if t.fate == "limits":
            t.unsent.append(TransactionResult("tx_" + offer.offer_id[3:], offer.offer_id, offer.rollout_id,
                                              offer.generation, Outcome.REFUSED, "local_limits", "root says no",
                                              started_ms=1, ended_ms=2))  # fmt: skip
            return
        if t.fate == "misses":
            t.fate = "good"
            return
        if offer.drill is not None:
            t.told.append(offer)
            outcome, code = (Outcome.FAILED, DRILL_FAILURE) if offer.drill.fails else (Outcome.INSTALLED, "ok")
            t.unsent.append(TransactionResult("tx_" + offer.offer_id[3:], offer.offer_id, offer.rollout_id,
                                              offer.generation, outcome, code, "drill"))  # fmt: skip
            return
        t.applied.append(offer.offer_id)
        if t.fate == "network":
            t.alive = False
            return
        t.confirmed = offer.release.release_id if offer.release else ""
        if t.fate == "idle":
            return
        if offer.undoes:
            self._go_back(t, offer)
            return
        failed = t.fate == "postinst"
        outcome, code = (Outcome.FAILED, "maintainer_script_failed") if failed else (Outcome.INSTALLED, "ok")
        changes: tuple[PackageChange, ...] = ()
        if not offer.release:
            pin = offer.updates[0]
            t.former, t.changed = t.version if t.keeps else "", pin.version
            changes = (PackageChange(pin.name, "amd64", t.version, pin.version, "iF" if failed else "ii"),)
        if not failed:
            t.version = offer.updates[0].version
        kept = WayBack(True, 1) if t.keeps else WayBack(False, 0, "gone", "libssl3 cannot be had any more")
        t.unsent.append(
            TransactionResult("tx_" + offer.offer_id[3:], offer.offer_id, offer.rollout_id, offer.generation, outcome,
                              code, "postinst returned 1" if failed else "", changes, started_ms=1, ended_ms=2,
                              way_back=kept)
        )  # fmt: skip

    def _go_back(self, t: Twin, offer: Offer) -> None:
        failed = t.fate == "back_fails"
        outcome, code = (Outcome.FAILED, "maintainer_script_failed") if failed else (Outcome.INSTALLED, "ok")
        if not failed:
            t.version, t.changed, t.former = t.former, "", ""
        t.unsent.append(
            TransactionResult("tx_" + offer.offer_id[3:], offer.offer_id, offer.rollout_id, offer.generation, outcome,
                              code, "", started_ms=1, ended_ms=2)
        )  # fmt: skip

    def updated(self) -> list[str]:
        """Host names whose version changed."""
        return [t.hostname for t in self.twins if t.version == PIN.version]

    def offered(self) -> list[str]:
        return [t.hostname for t in self.twins if t.applied]


def transaction(t: Twin, c: Candidate) -> Transaction:
    if c.undoes:
        back = (Action(ActionKind.DOWNGRADE, PIN.name, "amd64", t.changed, t.former),)
        return Transaction(back, transaction_digest(back))
    actions = tuple(Action(ActionKind.UPGRADE, u.name, "amd64", t.version, u.version) for u in c.updates)
    return Transaction(actions, transaction_digest(actions))
