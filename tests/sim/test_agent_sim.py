"""Histories of one agent with an unreliable cell, helper, disk and life: `decide` against four promises.

The real `decide` runs in a shell of ten lines that keeps the order of `agent.loop` (spool, durable state, commands)
and may die between any two steps. The helper here has *no* memory of spent offers on purpose, so the agent alone
must not begin an offer twice. Each seed is one history; a failing seed prints its story. Logs of runs lie beside it:
the cell gets each to its end, from where it says that it is, and no check-in, result or inventory waits for one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache

import pytest

from brakeline.agent import agenda, commands, events, model, orders, results, sessions
from brakeline.agent.decide import decide
from brakeline.agent.events import Exchange, Failure, FailureKind
from brakeline.agent.model import Durable, Errand, Instant, Self, State
from brakeline.agent.providers.model import Planned, Refused
from brakeline.core.ids import make_id
from brakeline.protocol import codec
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import (
    ORDER_CONTEXT,
    SETTINGS_CONTEXT,
    Action,
    ActionKind,
    Candidate,
    CheckIn,
    CheckInReply,
    Health,
    InventoryAck,
    Mode,
    Offer,
    Outcome,
    Secret,
    Settings,
    SettingsGrant,
    SignedOrder,
    Transaction,
    TransactionResult,
    UpdateRef,
)
from brakeline.trust import ed25519

SEEDS = 200
CELL_SEED = bytes(range(32))
ENDPOINT = "ep_01JD0000000000000000000001"
SETTINGS = Settings(Mode.PATCH, 60, 300)
SERVER_ERA_MS = 1_800_000_000_000
LOCAL_ERA_MS = 200_000_000_000  # the endpoint believes it is 1976
LOG_ENDS = 5  # the entry after the last one of each log
CALM_S = 900.0  # time without faults at the end of a history, at most
SETTLED_S = 120.0  # at least: twice the check-in interval, so whoever would begin something again has had the occasion


class Died(Exception):
    """The agent's process ended here."""


@cache
def signed(offer: Offer) -> SignedOrder:
    payload = codec.encode(offer)
    return SignedOrder(payload.decode(), ed25519.sign(CELL_SEED, ORDER_CONTEXT + payload).hex())


@cache
def granted() -> SignedOrder:
    """What this endpoint may run by: a reply's settings are not signed."""
    payload = codec.encode(SettingsGrant(ENDPOINT, SETTINGS, 1))
    return SignedOrder(payload.decode(), ed25519.sign(CELL_SEED, SETTINGS_CONTEXT + payload).hex())


@cache
def cell_key() -> str:
    return ed25519.public_key(CELL_SEED).hex()


def transaction_for(name: str) -> Transaction:
    actions = (Action(ActionKind.UPGRADE, name, "amd64", "1", "2"),)
    return Transaction(actions, transaction_digest(actions))


@dataclass
class World:
    """Everything outside the agent, and its disk. `faults` = probability that a step goes wrong."""

    rng: random.Random
    faults: float
    mutant: str = ""
    now_s: float = 0.0
    rollouts: dict[str, str] = field(default_factory=dict)  # id -> package
    halted: set[str] = field(default_factory=set)
    offers: dict[str, Offer] = field(default_factory=dict)  # rollout -> its offer
    recorded: dict[str, TransactionResult] = field(default_factory=dict)
    began: dict[str, int] = field(default_factory=dict)  # offer id -> times the helper started it
    helper: dict[str, tuple[Offer, float]] = field(default_factory=dict)  # transaction id -> offer, end
    spool: dict[str, TransactionResult] = field(default_factory=dict)
    durable: Durable = field(default_factory=Durable)
    told_halted: set[str] = field(default_factory=set)  # as of the last reply that the agent took in
    last_exchange_failed: bool = True
    story: list[str] = field(default_factory=list)
    number: int = 0
    logs: dict[str, str] = field(default_factory=dict)  # transaction -> offer: logs on the agent's disk
    held: dict[str, int] = field(default_factory=dict)  # transaction -> number of the entry that the cell wants next
    luck: random.Random = field(default_factory=lambda: random.Random(1))  # of logs: they move nothing else

    def instant(self) -> Instant:
        return Instant(self.now_s, LOCAL_ERA_MS + round(self.now_s * 1000))

    def server_ms(self) -> int:
        return SERVER_ERA_MS + round(self.now_s * 1000)

    def wrong(self) -> bool:
        return self.rng.random() < self.faults

    def make(self, prefix: str) -> str:
        self.number += 1
        return make_id(prefix, self.server_ms(), self.number.to_bytes(10, "big"))

    def tell(self, line: str) -> None:
        self.story.append(f"{self.now_s:9.2f} {line}")

    # --- the cell --------------------------------------------------------------------------------------------------

    def people(self) -> None:
        """Now and then somebody starts a rollout or brakes one."""
        if not self.faults:
            return
        if self.rng.random() < 0.05 and len(self.rollouts) < 12:
            rollout = self.make("ro")
            self.rollouts[rollout] = f"pkg{len(self.rollouts)}"
            self.tell(f"rollout {rollout} starts")
        if self.rng.random() < 0.02 and self.rollouts:
            rollout = self.rng.choice(sorted(self.rollouts))
            self.halted.add(rollout)
            self.tell(f"rollout {rollout} is halted")

    def reply(self, check_in: CheckIn) -> CheckInReply:
        for ready in check_in.ready:
            if ready.rollout_id not in self.offers and ready.rollout_id not in self.halted:
                self.offers[ready.rollout_id] = Offer(
                    self.make("of"), ENDPOINT, ready.rollout_id, 1, ready.transaction.digest,
                    (UpdateRef(self.rollouts[ready.rollout_id], "2"),), self.server_ms(), self.server_ms() + 600_000,
                )  # fmt: skip
        open_offers = [o for o in self.offers.values() if orders.transaction_id(o.offer_id) not in self.recorded]
        # A confused cell now and then offers again what is done, or what it has just halted.
        if self.wrong() and self.offers:
            open_offers.append(self.rng.choice(list(self.offers.values())))
        candidates = tuple(
            Candidate(r, 1, (UpdateRef(package, "2"),)) for r, package in self.rollouts.items() if r not in self.halted
        )
        return CheckInReply(
            self.server_ms(), SETTINGS, candidates, tuple(signed(o) for o in open_offers), tuple(sorted(self.halted)),
            granted=granted(),
        )  # fmt: skip

    # --- the helper ------------------------------------------------------------------------------------------------

    def apply(self, command: commands.AskHelper) -> None:
        offer = codec.decode(Offer, command.order.payload.encode())
        assert orders.unfit(offer, command.transaction) is None
        transaction_id = orders.transaction_id(offer.offer_id)
        if transaction_id not in self.helper:
            self.began[offer.offer_id] = self.began.get(offer.offer_id, 0) + 1
            self.helper[transaction_id] = offer, self.now_s + self.rng.uniform(1, 40)
            self.tell(f"helper begins {offer.offer_id}")

    def result(self, transaction_id: str) -> TransactionResult | None:
        offer, end_s = self.helper[transaction_id]
        if self.now_s < end_s:
            return None
        return TransactionResult(transaction_id, offer.offer_id, offer.rollout_id, 1, Outcome.INSTALLED, "ok", "done")


class Process:
    """One life of the agent: the shell in short."""

    def __init__(self, world: World) -> None:
        self.world = world
        me = Self(ENDPOINT, cell_key(), "1", f"boot-{world.rng.random()}", can_patch=True)
        self.state = State(me, world.durable)
        found = tuple(sorted(world.logs.items()))
        spooled, health = tuple(sorted(world.spool)), Health()
        self.events: list[events.Event] = [events.Started(world.instant(), spooled, runs=found, health=health)]
        self.errand_ends: tuple[float, Callable[[], events.Event]] | None = None

    def step(self) -> None:
        """Handle one event, or wait for the next thing that is due."""
        world = self.world
        if not self.events:
            due_s = min(agenda.next_wake_s(self.state, world.instant()), world.now_s + 30)
            if self.errand_ends is not None:
                due_s = min(due_s, self.errand_ends[0])
            world.now_s = max(world.now_s + 0.01, due_s)
            if self.errand_ends is not None and world.now_s >= self.errand_ends[0]:
                self.events.append(self.errand_ends[1]())
                self.errand_ends = None
            self.events.append(events.Tick(world.instant(), self.look(), packages_changed=world.wrong()))
        before = self.state
        self.state, wanted = decide(self.state, self.events.pop(0))
        self.secure(wanted)
        for command in wanted:
            self.may_die()
            self.do(command)
        assert not (before.stopping and wanted)

    def look(self) -> Health | None:
        """As in agent.loop: when a check-in is due."""
        state = self.state
        return Health() if self.world.now_s >= state.link.next_check_in_s or state.news else None

    def may_die(self) -> None:
        if self.world.wrong() and self.world.rng.random() < 0.3:
            self.world.tell("the agent dies")
            raise Died

    def secure(self, wanted: tuple[commands.Command, ...]) -> None:
        results = [c.result for c in wanted if isinstance(c, commands.SpoolResult)]
        if self.world.mutant == "state before spool":
            self.world.durable = self.state.durable
            self.may_die()
        for result in results:
            self.may_die()
            self.world.spool[result.transaction_id] = result
        self.may_die()
        if self.world.mutant != "state never saved":
            self.world.durable = self.state.durable

    # --- commands --------------------------------------------------------------------------------------------------

    def do(self, command: commands.Command) -> None:  # noqa: C901 - a table: a line or two a command
        world, now = self.world, self.world.instant
        match command:
            case commands.RenewSecret():
                self.exchange(Exchange.SECRET, lambda: self.secret())
            case commands.DoCheckIn():
                assert world.now_s <= self.state.looked_s + agenda.HEALTH_S_MAX, "old health was told"
                self.exchange(Exchange.CHECK_IN, lambda: self.check_in(command), command.wait_s)
            case commands.SendInventory(summary=s):
                ack = InventoryAck(s.sequence, s.digest)
                self.exchange(Exchange.INVENTORY, lambda: events.InventoryAcknowledged(now(), ack))
            case commands.SendResults(transaction_ids=ids):
                self.exchange(Exchange.RESULTS, lambda: self.results(ids))
            case commands.StartScan(sequence=sequence):
                summary = model.ScanSummary(sequence, f"d{sequence}", "", 1, True, LOCAL_ERA_MS)
                self.errand(lambda: events.Scanned(now(), summary), Errand.SCAN)
            case commands.StartPlan(candidate=c):
                self.errand(lambda: self.plan(c), Errand.PLAN)
            case commands.StartRefresh():
                self.errand(lambda: events.RefreshEnded(now(), ""), Errand.REFRESH)
            case commands.AskHelper(offer_id=offer_id):
                self.ask(command, offer_id)
            case commands.WatchTransaction(offer_id=offer_id, transaction_id=tx):
                self.watch(offer_id, tx)
            case commands.ForgetResults(transaction_ids=ids):
                for tx in ids:
                    assert tx in world.recorded or world.mutant, f"{tx} forgotten before it was recorded"
                    world.spool.pop(tx, None)
                    world.helper.pop(tx, None)
            case commands.SendRun(transaction_id=tx, next=following):
                self.send_run(tx, following)
            case commands.ForgetRun(transaction_id=tx):
                assert world.held.get(tx) == LOG_ENDS, f"the log of {tx} was forgotten before the cell had it"
                world.logs.pop(tx, None)
            case _:
                pass

    def send_run(self, tx: str, following: int) -> None:
        """The request or the answer may get lost, and the cell may be too busy for logs alone."""
        world, state = self.world, self.state
        assert not (state.unsent and results.batch(state, world.instant())), "a log went before a result"
        assert state.to_send is None, "a log went before an inventory"
        assert state.link.next_check_in_s > world.now_s, "a log went before a check-in"
        world.now_s += 0.02
        held = world.held.setdefault(tx, 1)
        lost = world.faults and world.luck.random() < 0.2
        if following and (not lost or world.luck.random() < 0.5):
            assert following <= held, "a gap"
            world.held[tx] = max(held, min(LOG_ENDS, following + 4))
        running = any(s.transaction_id == tx for s in sessions.running(state))
        all_of_it = bool(following) and world.held[tx] == LOG_ENDS
        if lost:
            busy = Failure(FailureKind.BUSY, "too-busy", "busy", 7.0)
            self.events.insert(0, events.RunRefused(world.instant(), tx, busy))
        else:
            whole = all_of_it and not running
            taken = events.RunTaken(world.instant(), tx, world.held[tx], False, not all_of_it, whole)
            self.events.insert(0, taken)

    def exchange(self, kind: Exchange, effect: Callable[[], events.Event], wait_s: float = 0.0) -> None:
        """The request or the answer may get lost."""
        world = self.world
        world.now_s += 0.05 + world.rng.random() * wait_s
        if world.wrong():
            if world.rng.random() < 0.5:
                effect()  # it took effect; only the answer is lost
            failure = world.rng.choice([
                Failure(FailureKind.NETWORK, "network", "lost"), Failure(FailureKind.BUSY, "busy", "busy", 7.0),
                Failure(FailureKind.SECRET, "secret-expired", "expired", 0.0, world.server_ms()),
            ])  # fmt: skip
            world.last_exchange_failed = True
            self.events.insert(0, events.ExchangeFailed(world.instant(), kind, failure))  # as in agent.loop
            return
        event = effect()
        if isinstance(event, events.CheckedIn) and event.reply is not None:
            world.told_halted = set(event.reply.halted)
        world.last_exchange_failed = False
        self.events.insert(0, event)

    def secret(self) -> events.Event:
        ms = self.world.server_ms()
        return events.SecretGiven(self.world.instant(), Secret("00" * 32, ms + 900_000, ms))

    def check_in(self, command: commands.DoCheckIn) -> events.Event:
        started_s = self.world.now_s
        self.world.people()
        return events.CheckedIn(self.world.instant(), started_s, self.world.reply(command.body), "e")

    def results(self, ids: tuple[str, ...]) -> events.Event:
        for tx in ids:
            self.world.recorded.setdefault(tx, self.world.spool[tx])
        return events.ResultsAcknowledged(self.world.instant(), ids)

    def errand(self, event: Callable[[], events.Event], kind: Errand) -> None:
        world = self.world
        if world.wrong():
            event = lambda: events.ErrandFailed(world.instant(), kind, "crashed")  # noqa: E731
        assert self.errand_ends is None, "two errands at once"
        self.errand_ends = world.now_s + world.rng.uniform(0.1, 5), event

    def plan(self, candidate: Candidate) -> events.Event:
        if self.world.wrong():
            return events.PlanMade(self.world.instant(), candidate, Refused("locked", "apt is busy"))
        transaction = transaction_for(candidate.updates[0].name)
        return events.PlanMade(self.world.instant(), candidate, Planned(transaction))

    def ask(self, command: commands.AskHelper, offer_id: str) -> None:
        world = self.world
        offer = codec.decode(Offer, command.order.payload.encode())
        assert offer.rollout_id not in world.told_halted, "started although the halt was received"
        assert not world.last_exchange_failed, "started without a cell"
        running = [tx for tx, (_, end_s) in world.helper.items() if end_s > world.now_s]
        if running and orders.transaction_id(offer_id) not in running:
            self.events.append(events.HelperDeclined(world.instant(), offer_id, "busy", "another one runs"))
            return
        heard = not world.wrong()
        if heard or world.rng.random() < 0.5:
            world.apply(command)
        self.may_die()
        answer = events.HelperBegan if heard else events.HelperSilent
        self.events.append(answer(world.instant(), offer_id))

    def watch(self, offer_id: str, tx: str) -> None:
        world, at = self.world, self.world.instant()
        if world.wrong():
            self.events.append(events.HelperSilent(at, offer_id))
            return
        if tx in world.helper:
            world.logs.setdefault(tx, offer_id)  # as `agent.loop` copies it before it says what the helper answered
        if tx not in world.helper:
            self.events.append(events.HelperKnowsNothing(at, offer_id))
        elif (result := world.result(tx)) is not None:
            self.events.append(events.TransactionEnded(at, result))
        else:
            self.events.append(events.HelperBegan(at, offer_id))


def history(seed: int, mutant: str = "", steps: int = 300) -> World:
    """One life after another until `steps` are done, then calm until everything has settled (or has not in time)."""
    world = World(random.Random(seed), faults=0.08, mutant=mutant)
    process = Process(world)
    for _ in range(steps):
        try:
            process.step()
        except Died:
            process = Process(world)
    world.faults = 0.0
    calm_from_s = world.now_s
    while world.now_s < calm_from_s + CALM_S:
        process.step()
        if world.now_s >= calm_from_s + SETTLED_S and not broken_promises(world):
            break
    return world


def broken_promises(world: World) -> list[str]:
    """Each promise that this history breaks, in words."""
    broken = [f"{offer} was begun {n} times" for offer, n in world.began.items() if n > 1]
    for offer_id in world.began:
        result = world.recorded.get(orders.transaction_id(offer_id))
        if result is None:
            broken.append(f"the result of {offer_id} is lost")
        elif result.outcome is not Outcome.INSTALLED:
            broken.append(f"{offer_id} was installed but reported as {result.outcome} ({result.code})")
    for offer in world.offers.values():
        if orders.transaction_id(offer.offer_id) not in world.recorded:
            broken.append(f"{offer.offer_id} was offered and never answered")
    if world.logs:
        broken.append(f"{len(world.logs)} logs still wait although the cell is there")
    if world.spool:
        broken.append(f"{len(world.spool)} results still wait although the cell is there")
    return broken


@pytest.fixture(autouse=True, scope="module")
def verified_once() -> Iterator[None]:
    """The same grant and offers come again and again, in every history: the real answer about each is remembered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ed25519, "verify", cache(ed25519.verify))
        yield


@pytest.mark.parametrize("block", range(10))
def test_every_history_keeps_the_promises(block: int) -> None:
    began = 0
    for seed in range(block * SEEDS // 10, (block + 1) * SEEDS // 10):
        world = history(seed)
        began += len(world.began)
        assert not broken_promises(world), f"seed {seed}: {broken_promises(world)}\n" + "\n".join(world.story)
    assert began > 20, "the histories must do something, or they prove nothing"


@pytest.mark.parametrize("mutant", ["state before spool", "state never saved"])
def test_a_shell_with_the_wrong_order_is_caught(mutant: str) -> None:
    """The histories are only worth something if they notice a shell that loses things."""
    for seed in range(SEEDS):
        try:
            world = history(seed, mutant)
        except AssertionError:
            return
        if broken_promises(world):
            return
    pytest.fail(f"{mutant!r} went unnoticed in {SEEDS} histories")


def test_the_same_seed_gives_the_same_history() -> None:
    assert history(7).story == history(7).story
    assert replace(history(7).durable) == history(7).durable
