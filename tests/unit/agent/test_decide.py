"""The agent's mind, told as stories: events in, commands out, in reading order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest

from brakeline.agent import agenda, ceiling, commands, events, model, orders, status
from brakeline.agent.decide import IllegalTransition, decide
from brakeline.agent.events import Exchange, Failure, FailureKind
from brakeline.agent.model import Errand, Instant, Self, State
from brakeline.agent.providers.model import Planned, Refused
from brakeline.agent.rescan import Look, Stamp
from brakeline.protocol import codec
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import (
    ORDER_CONTEXT,
    SETTINGS_CONTEXT,
    Action,
    ActionKind,
    Candidate,
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
from brakeline.protocol.settings import wider
from brakeline.trust import ed25519

C = TypeVar("C")
CELL_SEED = b"c" * 32
ME = Self("ep_01JD0000000000000000000001", ed25519.public_key(CELL_SEED).hex(), "1", "boot-1", can_patch=True)
ROLLOUT, OFFER, TX = "ro_01JD0000000000000000000001", "of_01JD0000000000000000000001", "tx_01JD0000000000000000000001"
SERVER_MS = 1_800_000_000_000
LOCAL_MS = 0  # the endpoint's clock starts in 1970
CANDIDATE = Candidate(ROLLOUT, 1, (UpdateRef("jq", "2"),))
ACTIONS = (Action(ActionKind.UPGRADE, "jq", "amd64", "1", "2"),)
PLAN = Planned(Transaction(ACTIONS, transaction_digest(ACTIONS)))
PATCH = Settings(Mode.PATCH)
OFFERED = Offer(
    OFFER, ME.endpoint_id, ROLLOUT, 1, PLAN.transaction.digest, CANDIDATE.updates, SERVER_MS, SERVER_MS + 600_000
)


def sign(offer: Offer, seed: bytes = CELL_SEED) -> SignedOrder:
    payload = codec.encode(offer)
    return SignedOrder(payload.decode(), ed25519.sign(seed, ORDER_CONTEXT + payload).hex())


def grant(settings: Settings, serial: int, endpoint_id: str = ME.endpoint_id, seed: bytes = CELL_SEED) -> SignedOrder:
    payload = codec.encode(SettingsGrant(endpoint_id, settings, serial))
    return SignedOrder(payload.decode(), ed25519.sign(seed, SETTINGS_CONTEXT + payload).hex())


@dataclass
class Story:
    """An agent to which things happen; `said` is what it did at the last event."""

    state: State
    now_s: float = 0.0
    said: tuple[commands.Command, ...] = ()
    health: Health = field(default_factory=Health)  # as whoever looks now finds it

    def at(self) -> Instant:
        return Instant(self.now_s, LOCAL_MS + round(self.now_s * 1000))

    def server_ms(self) -> int:
        return SERVER_MS + round(self.now_s * 1000)

    def happens(self, kind: Any, *facts: Any, **named: Any) -> Story:
        if kind in (events.Started, events.Tick):
            named.setdefault("health", self.health)
        self.state, self.said = decide(self.state, kind(self.at(), *facts, **named))
        return self

    def passes(self, seconds: float) -> Story:
        self.now_s += seconds
        return self.happens(events.Tick)

    def the(self, kind: type[C]) -> C:
        """The one command of this kind."""
        (command,) = [c for c in self.said if isinstance(c, kind)]
        return command

    def none(self, kind: type[Any]) -> bool:
        return not [c for c in self.said if isinstance(c, kind)]

    def secret(self) -> Story:
        return self.happens(events.SecretGiven, Secret("00", self.server_ms() + 900_000, self.server_ms()))

    def reply(self, **parts: Any) -> Story:
        """With a grant for settings that the agent may not run by yet, as a cell has it for what has been proven."""
        settings, known = parts.pop("settings", PATCH), self.state.durable.allowed
        if "granted" not in parts and wider(settings, ceiling.ceiling(self.state.durable)):
            parts["granted"] = grant(settings, known.serial + 1 if known else 1)
        reply = CheckInReply(self.server_ms(), settings, **parts)
        return self.happens(events.CheckedIn, self.now_s, reply, '"e"')

    def fails(self, exchange: Exchange, kind: FailureKind, code: str = "x", **more: Any) -> Story:
        return self.happens(events.ExchangeFailed, exchange, Failure(kind, code, "why", **more))

    def scanned(self, sequence: int = 1) -> Story:
        return self.happens(events.Scanned, model.ScanSummary(sequence, "d", "/b", 9, True, round(self.now_s * 1000)))


def begun() -> Story:
    story = Story(State(ME, model.Durable()))
    return story.happens(events.Started, ())


def idle(**parts: Any) -> Story:
    """Connected, scanned, inventory acknowledged, in patch mode; a check-in is under way."""
    story = begun().secret().reply(**parts).scanned()
    story.now_s += 2
    return story.happens(events.InventoryAcknowledged, InventoryAck(1, "d"))


def prepared() -> Story:
    """A candidate is planned; the check-in that says so is under way."""
    story = idle(candidates=(CANDIDATE,))
    assert story.state.errand is Errand.PLAN
    story.happens(events.CheckedIn, story.now_s, None, '"e"')
    story.now_s += 2
    return story.happens(events.PlanMade, CANDIDATE, PLAN).passes(0.01)


# --- getting in touch ----------------------------------------------------------------------------------------------


def test_first_a_secret_then_a_check_in_then_a_scan() -> None:
    story = begun()
    assert isinstance(story.said[-1], commands.RenewSecret)
    story.secret()
    assert story.the(commands.DoCheckIn).wait_s == 0
    story.reply()
    assert story.the(commands.StartScan) == commands.StartScan(0, 1)


def test_health_is_looked_at_between_two_polls_however_short_the_interval() -> None:
    """A poll that stood open for the whole interval ends; the next begins at a tick, which brings health with it."""
    short = replace(PATCH, check_in_interval_s=2)
    story = idle(settings=short)
    story.reply(settings=short)
    story.passes(1.2)
    story.the(commands.DoCheckIn)
    began_s, story.now_s = story.now_s, story.now_s + 2
    story.happens(events.CheckedIn, began_s, None, '"e"')
    assert story.none(commands.DoCheckIn)
    story.passes(0.1)
    story.the(commands.DoCheckIn)


def test_news_that_no_tick_brings_is_told_with_health_that_was_just_looked_at() -> None:
    story = idle(candidates=(CANDIDATE,))
    story.happens(events.CheckedIn, story.now_s, None, '"e"')
    story.now_s, story.health = story.now_s + 40, Health(failed_services=("nginx.service",))
    story.happens(events.PlanMade, CANDIDATE, PLAN)
    assert story.none(commands.DoCheckIn), "the last look is 40 seconds old"
    assert agenda.next_wake_s(story.state, story.at()) == story.now_s, "the next tick comes at once, and with it a look"
    story.passes(0.01)
    check_in = story.the(commands.DoCheckIn).body
    assert check_in.ready
    assert check_in.health.failed_services == ("nginx.service",)


def test_a_look_of_a_moment_ago_is_as_good_as_one_of_now() -> None:
    story = idle(candidates=(CANDIDATE,))
    story.happens(events.CheckedIn, story.now_s, None, '"e"')
    story.passes(1.2).now_s += agenda.HEALTH_S_MAX
    story.happens(events.PlanMade, CANDIDATE, PLAN)
    story.the(commands.DoCheckIn)


def test_a_first_check_in_looks_again_when_the_secret_was_long_in_coming() -> None:
    story = begun()
    story.now_s += 15
    assert story.secret().none(commands.DoCheckIn)
    story.passes(0.01)
    story.the(commands.DoCheckIn)


def test_being_heard_comes_before_scanning() -> None:
    assert begun().secret().none(commands.StartScan)


def test_a_clock_that_is_decades_off_is_corrected_by_the_cell() -> None:
    story = begun()
    assert story.the(commands.RenewSecret).created_ms == LOCAL_MS
    story.fails(Exchange.SECRET, FailureKind.SKEW, server_ms=SERVER_MS)
    assert story.the(commands.RenewSecret).created_ms == SERVER_MS
    story.secret()
    story.now_s += 700
    story.reply()
    assert story.state.link.secret_until_ms > story.server_ms()


def test_the_secret_is_renewed_before_it_ends() -> None:
    story = idle()
    story.now_s = 780
    story.happens(events.CheckedIn, story.now_s, None, '"e"')
    assert isinstance(story.said[-1], commands.RenewSecret)


def test_back_off_grows_has_jitter_and_never_exceeds_the_interval() -> None:
    story, delays = begun().secret(), []
    for _ in range(12):
        story.fails(Exchange.CHECK_IN, FailureKind.NETWORK)
        delays.append(story.state.link.not_before_s - story.now_s)
        assert story.none(commands.DoCheckIn)
        story.passes(delays[-1])
        assert story.the(commands.DoCheckIn)
        if story.server_ms() > story.state.link.secret_until_ms - agenda.RENEW_BEFORE_MS:
            break
    assert delays[0] <= 1.0
    assert max(delays) <= 60
    assert delays[5] > delays[0]
    other = State(replace(ME, endpoint_id="ep_01JD0000000000000000000002"), model.Durable())
    assert agenda.jitter(other, 3) != agenda.jitter(story.state, 3)


def test_retry_after_is_obeyed_but_not_without_end() -> None:
    story = begun().secret().fails(Exchange.CHECK_IN, FailureKind.BUSY, retry_after_s=120.0)
    assert 120 <= story.state.link.not_before_s <= 180
    story = begun().secret().fails(Exchange.CHECK_IN, FailureKind.BUSY, retry_after_s=1e9)
    assert story.state.link.not_before_s <= 5400


def test_an_unknown_secret_is_renewed_at_once() -> None:
    story = idle()
    story.fails(Exchange.CHECK_IN, FailureKind.SECRET)
    assert story.the(commands.RenewSecret)


def test_a_cloned_identity_stops_everything_and_says_so() -> None:
    story = prepared()
    story.fails(Exchange.CHECK_IN, FailureKind.BARRED, "cloned")
    assert any("enrol this machine again" in c.line for c in story.said if isinstance(c, commands.Report))
    assert story.state.standing == model.Barred("cloned", "why")
    assert story.state.preparations == ()
    story.passes(60)
    assert story.said == ()
    story.passes(900)
    assert story.the(commands.RenewSecret)


def test_the_long_poll_is_held_only_while_nothing_goes_on_here() -> None:
    story = idle()
    assert story.the(commands.DoCheckIn).wait_s == 55
    story = begun().secret().reply()
    assert story.state.errand is Errand.SCAN
    story.passes(61)
    assert story.the(commands.DoCheckIn).wait_s == 0


def test_a_confused_cell_cannot_make_the_agent_spin() -> None:
    story = idle()
    story.reply()
    assert story.none(commands.DoCheckIn)
    assert agenda.next_wake_s(story.state, story.at()) >= story.now_s + 0.9


def test_an_answer_that_nobody_asked_for_is_a_bug() -> None:
    with pytest.raises(IllegalTransition):
        begun().secret().reply().secret()


# --- inventory -----------------------------------------------------------------------------------------------------


def test_after_the_acknowledgement_only_differences_are_sent() -> None:
    story = idle()
    story.happens(events.CheckedIn, story.now_s, None, '"e"')
    story.passes(901)
    assert story.the(commands.StartScan) == commands.StartScan(1, 2)


def test_a_scan_without_news_sends_nothing() -> None:
    story = idle()
    story.happens(events.CheckedIn, story.now_s, None, '"e"').passes(901)
    story.scanned(sequence=0)
    assert story.none(commands.SendInventory)


def test_resync_sends_everything_with_a_number_that_the_cell_has_not_seen() -> None:
    story = begun().secret().reply().scanned()
    story.happens(events.InventoryAcknowledged, InventoryAck(41, "", resync=True))
    assert story.the(commands.StartScan) == commands.StartScan(0, 42, asked=True)


def test_changed_package_records_are_looked_at_soon() -> None:
    story = idle()
    story.happens(events.CheckedIn, story.now_s, None, '"e"')
    story.happens(events.Tick, packages_changed=True)
    assert story.the(commands.StartScan)


LOOK = Look(Stamp("s", "q"), 1.0, 1.0)


def looked(story: Story, *, full: bool = True) -> Story:
    return story.happens(events.Scanned, model.ScanSummary(0, "d", "/b", 9, True, 0, LOOK, full))


def test_an_unchanged_machine_is_looked_at_again_after_the_interval() -> None:
    story = looked(begun().secret().reply(settings=Settings(Mode.PATCH, inventory_interval_s=50))).passes(2)
    story.happens(events.CheckedIn, story.now_s, None, '"e"').passes(51)
    assert story.the(commands.StartScan).last == LOOK
    story.happens(events.Unchanged)
    assert story.state.errand is Errand.NONE
    assert story.passes(49).none(commands.StartScan)
    assert story.passes(2).the(commands.StartScan).last == LOOK


def test_where_nothing_can_be_looked_at_that_is_said_once_and_no_inventory_is_sent() -> None:
    """An inventory without packages would look like a machine without holes."""
    why = "Not assessed: there is no provider for this system yet."
    story = Story(State(replace(ME, can_patch=False), model.Durable())).happens(events.Started, ())
    story.secret().reply(settings=Settings(Mode.PATCH, inventory_interval_s=50))
    assert story.state.errand is Errand.SCAN
    story.happens(events.NotAssessed, why)
    assert commands.Report(why) in story.said
    assert (story.state.errand, story.state.to_send, story.state.not_assessed) == (Errand.NONE, None, why)
    assert story.state.words == ("READY", "HEALTHY")  # no release could do better here
    story.passes(2).reply(resync=True, scan=7)
    assert story.the(commands.StartScan)  # a person asks: the answer is the same, at once
    story.happens(events.NotAssessed, why)
    assert commands.Report(why) not in story.said
    assert not story.state.durable.scan_owed
    assert not story.state.resync
    assert story.passes(49).none(commands.SendInventory)
    assert status.describe(story.state)["assessment"] == why


def test_the_first_look_of_a_process_and_a_resync_do_not_rely_on_an_earlier_one() -> None:
    story = begun().secret().reply()
    assert story.the(commands.StartScan).last is None
    looked(story).passes(2).reply(resync=True)
    assert story.the(commands.StartScan).asked


def test_a_look_that_people_ask_for_is_full_even_if_a_quick_one_was_under_way_or_the_agent_died() -> None:
    story = looked(begun().secret().reply()).passes(2)
    story.happens(events.CheckedIn, story.now_s, None, '"e"').passes(901)
    assert story.state.errand is Errand.SCAN
    story.happens(events.CheckedIn, story.now_s, CheckInReply(story.server_ms(), PATCH, scan=3), '"e"')
    looked(story, full=False)
    story.happens(events.RefreshEnded, "")
    assert story.the(commands.StartScan).asked
    again = Story(State(ME, story.state.durable)).happens(events.Started, ()).secret().reply(scan=3)
    assert again.the(commands.StartScan).asked
    looked(story)
    assert not story.state.durable.scan_owed


# --- the cell's time -----------------------------------------------------------------------------------------------


def test_a_process_of_the_same_boot_knows_the_cells_time_at_once() -> None:
    known = begun().secret().state.durable
    story = Story(State(ME, known), now_s=600.0).happens(events.Started, ())
    assert story.the(commands.RenewSecret).created_ms == SERVER_MS + 600_000, "the wall clock says 1970"


def test_after_another_boot_time_is_at_least_what_was_seen() -> None:
    known = begun().secret().state.durable
    story = Story(State(replace(ME, boot_id="boot-2"), known)).happens(events.Started, ())
    assert story.the(commands.RenewSecret).created_ms == SERVER_MS
    assert (
        Story(State(ME, model.Durable())).happens(events.Started, ()).the(commands.RenewSecret).created_ms == LOCAL_MS
    )


def test_the_cells_time_is_not_written_at_every_check_in_and_a_wrong_one_is_corrected() -> None:
    story = begun().secret()
    known = story.state.durable.time
    for _ in range(5):
        story.passes(61).reply()
    assert story.state.durable.time == known
    story.passes(61).happens(events.CheckedIn, story.now_s, CheckInReply(SERVER_MS - 10**10, PATCH), '"e"')
    assert story.state.durable.time.seen_ms == SERVER_MS - 10**10


def test_a_scan_that_crashes_does_not_crash_the_agent() -> None:
    story = begun().secret().reply()
    story.happens(events.ErrandFailed, Errand.SCAN, "ended by SIGKILL")
    assert story.state.errand is Errand.NONE
    assert story.none(commands.StartScan)


# --- from candidate to result --------------------------------------------------------------------------------------


def test_ready_is_said_with_the_exact_transaction() -> None:
    story = prepared()
    (ready,) = story.the(commands.DoCheckIn).body.ready
    assert ready.transaction == PLAN.transaction


def test_why_not_ready_is_said() -> None:
    story = idle(candidates=(CANDIDATE,))
    story.happens(events.CheckedIn, story.now_s, None, '"e"')
    story.now_s += 2
    story.happens(events.PlanMade, CANDIDATE, Refused("no_space", "5 MiB are missing")).passes(0.01)
    (not_ready,) = story.the(commands.DoCheckIn).body.not_ready
    assert (not_ready.code, not_ready.reason) == ("no_space", "5 MiB are missing")


@pytest.mark.parametrize("assess", ["by policy", "no helper"])
def test_assess_only_plans_nothing(assess: str) -> None:
    story = Story(State(replace(ME, can_patch=assess != "no helper"), model.Durable()))
    mode = Settings(Mode.ASSESS if assess == "by policy" else Mode.PATCH)
    story.happens(events.Started, ()).secret().reply(candidates=(CANDIDATE,), settings=mode).scanned()
    story.now_s += 2
    story.happens(events.InventoryAcknowledged, InventoryAck(1, "d"))
    assert story.none(commands.StartPlan)
    assert story.the(commands.DoCheckIn).body.not_ready[0].code == "assess_only"


def test_an_offer_is_applied_and_its_result_is_safe_before_it_is_sent() -> None:
    story = prepared().reply(candidates=(CANDIDATE,), offers=(sign(OFFERED),))
    asked = story.the(commands.AskHelper)
    assert (asked.offer_id, asked.transaction) == (OFFER, PLAN.transaction)
    story.happens(events.HelperBegan, OFFER)
    story.passes(1.1)
    assert story.the(commands.WatchTransaction).transaction_id == TX
    story.happens(events.CheckedIn, story.now_s, None, '"e"')
    result = TransactionResult(TX, OFFER, ROLLOUT, 1, Outcome.INSTALLED, "ok", "done")
    story.happens(events.TransactionEnded, result)
    assert story.the(commands.SpoolResult).result == result
    assert story.the(commands.SendResults).transaction_ids == (TX,)
    story.happens(events.ResultsAcknowledged, (TX,))
    assert story.the(commands.ForgetResults).transaction_ids == (TX,)


def test_the_same_offer_never_counts_twice() -> None:
    story = prepared().reply(offers=(sign(OFFERED),)).happens(events.HelperBegan, OFFER)
    result = TransactionResult(TX, OFFER, ROLLOUT, 1, Outcome.INSTALLED, "ok", "done")
    story.happens(events.TransactionEnded, result).happens(events.ResultsAcknowledged, (TX,)).passes(2)
    story.reply(offers=(sign(OFFERED),), candidates=(CANDIDATE,))
    assert story.none(commands.AskHelper)
    assert story.none(commands.SpoolResult)


@pytest.mark.parametrize(
    ("order", "word"),
    [
        (sign(OFFERED, b"x" * 32), "not signed"),
        (sign(replace(OFFERED, endpoint_id="ep_01JD0000000000000000000009")), "is for"),
        (SignedOrder("{}", sign(OFFERED).signature), "not signed"),
        (SignedOrder("x" * 70_000, "00"), "bytes"),
        (SignedOrder("{}", "zz"), "hexadecimal"),
    ],
    ids=["another key", "another endpoint", "another payload", "oversized", "no hex"],
)
def test_orders_that_are_not_ours_are_not_even_answered(order: SignedOrder, word: str) -> None:
    story = prepared().reply(offers=(order,))
    assert story.none(commands.AskHelper)
    assert story.none(commands.SpoolResult)
    assert any(word in c.line for c in story.said if isinstance(c, commands.Report))


@pytest.mark.parametrize(
    ("offer", "reply", "code"),
    [
        (replace(OFFERED, expires_ms=SERVER_MS + 1), {}, "offer_expired"),
        (replace(OFFERED, transaction_digest="0" * 64), {}, "changed"),
        (OFFERED, {"halted": (ROLLOUT,)}, "halted"),
        (OFFERED, {"settings": Settings(Mode.ASSESS)}, "assess_only"),
    ],
    ids=["expired", "another transaction", "halted", "assess only"],
)
def test_offers_that_must_not_be_followed_are_answered_with_the_reason(offer: Offer, reply: Any, code: str) -> None:
    story = prepared().reply(offers=(sign(offer),), **reply)
    assert story.none(commands.AskHelper)
    result = story.the(commands.SpoolResult).result
    assert result.code == code
    assert result.outcome in (Outcome.REFUSED, Outcome.EXPIRED)


def test_one_transaction_at_a_time_and_a_halt_drops_what_waits() -> None:
    other = replace(OFFERED, offer_id="of_01JD0000000000000000000002", rollout_id="ro_01JD0000000000000000000002")
    candidate = replace(CANDIDATE, rollout_id=other.rollout_id)
    story = prepared().reply(candidates=(CANDIDATE, candidate))
    story.happens(events.PlanMade, candidate, PLAN)
    story.now_s += 2
    story.happens(events.Tick)
    story.reply(candidates=(CANDIDATE, candidate), offers=(sign(OFFERED), sign(other)))
    assert story.the(commands.AskHelper).offer_id == OFFER
    story.happens(events.HelperBegan, OFFER)
    story.passes(62)
    story.reply(candidates=(CANDIDATE,), offers=(sign(OFFERED),), halted=(other.rollout_id, ROLLOUT))
    assert story.the(commands.SpoolResult).result.offer_id == other.offer_id  # and the one that runs goes on
    assert story.state.durable.sessions[0].phase is model.SessionPhase.RUNNING


def test_without_a_cell_nothing_new_starts_but_what_runs_is_finished() -> None:
    story = prepared().reply(offers=(sign(OFFERED),)).happens(events.HelperBegan, OFFER)
    story.passes(61).fails(Exchange.CHECK_IN, FailureKind.NETWORK)
    result = TransactionResult(TX, OFFER, ROLLOUT, 1, Outcome.INSTALLED, "ok", "done")
    story.happens(events.TransactionEnded, result)
    assert story.the(commands.SpoolResult)
    assert story.none(commands.SendResults)
    assert story.state.unsent == (TX,)


def test_after_a_crash_the_helper_tells_whether_it_began() -> None:
    crashed = prepared().reply(offers=(sign(OFFERED),)).state.durable
    story = Story(State(replace(ME, boot_id="boot-2"), crashed))
    story.happens(events.Started, ())
    assert story.the(commands.WatchTransaction).transaction_id == TX
    story.happens(events.HelperKnowsNothing, OFFER)
    assert story.none(commands.AskHelper), "not before the cell has been heard: the rollout may be halted by now"
    story.secret().reply(halted=(ROLLOUT,))
    assert story.none(commands.AskHelper)
    assert story.the(commands.SpoolResult).result.code == "halted"


def test_an_offer_that_outlives_a_restart_is_planned_again_before_it_is_followed() -> None:
    story = idle(offers=(sign(OFFERED),))
    plan = story.state.preparations[0].candidate
    assert story.state.errand is Errand.PLAN
    assert plan.updates == CANDIDATE.updates
    story.happens(events.CheckedIn, story.now_s, None, '"e"').happens(events.PlanMade, plan, PLAN)
    assert story.the(commands.AskHelper).offer_id == OFFER


def test_a_result_in_the_spool_ends_its_session_after_a_crash() -> None:
    crashed = prepared().reply(offers=(sign(OFFERED),)).happens(events.HelperBegan, OFFER).state.durable
    story = Story(State(ME, crashed)).happens(events.Started, (TX,))
    assert story.none(commands.WatchTransaction)
    assert story.state.durable.sessions[0].phase is model.SessionPhase.ENDED


# --- package lists, end --------------------------------------------------------------------------------------------


def test_stale_lists_are_refreshed_through_the_helper_only() -> None:
    story = idle()
    story.happens(events.CheckedIn, story.now_s, None, '"e"')
    story.passes(6 * 3600 + 1)
    story.happens(events.SecretGiven, Secret("00", story.server_ms() + 900_000, story.server_ms()))
    assert story.state.errand is Errand.REFRESH
    story.happens(events.RefreshEnded, "")
    assert story.state.errand is Errand.SCAN


def test_a_scan_that_people_ask_for_happens_once() -> None:
    story = idle()
    story.reply(scan=7)
    assert story.state.errand is Errand.REFRESH
    story.happens(events.RefreshEnded, "").scanned(0).passes(61).reply(scan=7)
    assert story.none(commands.StartScan)
    assert story.none(commands.StartRefresh)


def test_the_end_says_goodbye_only_when_there_is_somebody_to_hear_it() -> None:
    story = idle()
    story.happens(events.CheckedIn, story.now_s, None, '"e"').happens(events.StopAsked, "shutdown")
    assert [type(c) for c in story.said] == [commands.SayGoodbye, commands.Exit]
    story = begun().fails(Exchange.SECRET, FailureKind.NETWORK)
    story.happens(events.StopAsked, "shutdown")
    assert [type(c) for c in story.said] == [commands.Exit]


def test_transaction_ids_follow_from_offer_ids() -> None:
    assert orders.transaction_id(OFFER) == TX


# --- the way back --------------------------------------------------------------------------------------------------

BACK_ACTIONS = (Action(ActionKind.DOWNGRADE, "jq", "amd64", "2", "1"), Action(ActionKind.REMOVE, "new", "all", "1", ""))
BACK_PLAN = Planned(Transaction(BACK_ACTIONS, transaction_digest(BACK_ACTIONS)))
UNDONE = "ro_01JD0000000000000000000002"


def test_a_way_back_is_planned_offered_and_asked_for_by_its_own_verb() -> None:
    candidate = replace(CANDIDATE, undoes=UNDONE)
    story = idle(candidates=(candidate,))
    story.happens(events.CheckedIn, story.now_s, None, '"e"')
    story.now_s += 2
    story.happens(events.PlanMade, candidate, BACK_PLAN).passes(0.01)
    offer = replace(OFFERED, undoes=UNDONE, transaction_digest=BACK_PLAN.transaction.digest)
    story.reply(candidates=(candidate,), offers=(sign(offer),))
    asked = story.the(commands.AskHelper)
    assert (asked.undoes, asked.transaction) == (UNDONE, BACK_PLAN.transaction)


def test_the_same_transaction_without_a_way_back_in_the_order_is_refused() -> None:
    offer = replace(OFFERED, transaction_digest=BACK_PLAN.transaction.digest)
    unfit = orders.unfit(offer, BACK_PLAN.transaction)
    assert unfit is not None
    assert "never downgrades" in unfit.reason
    assert orders.unfit(replace(offer, undoes=UNDONE), BACK_PLAN.transaction) is None
