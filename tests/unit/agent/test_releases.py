"""The agent's own update, told as stories: asked, offered, asked of the launcher, and what came of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.agent.test_decide import CANDIDATE, ME, OFFER, ROLLOUT, SERVER_MS, Story, sign

from brakeline.agent import commands, events, model, releases
from brakeline.agent.model import SessionPhase, State
from brakeline.protocol.messages import (
    Candidate,
    InventoryAck,
    LauncherReport,
    Mode,
    Offer,
    Outcome,
    ReleaseRef,
    Settings,
    TransactionResult,
    TrialReport,
    UpdateRef,
)

NEW = ReleaseRef("agent", "2.0.0", "agent/2.0.0/any/bundle.tar", "ab" * 32, 1000, 2)
OLD_ID = "1.0.0-" + "cd" * 6
OURS = Candidate(ROLLOUT, 1, (UpdateRef("brakeline-agent", NEW.release_id),), release=NEW)
REPORT = LauncherReport(version="1", running=OLD_ID, confirmed=OLD_ID)


def launched(report: LauncherReport = REPORT, durable: model.Durable | None = None) -> Story:
    """An agent under a launcher, whose first check-in is under way."""
    me = replace(ME, release_id=report.running)
    story = (
        Story(State(me, durable or model.Durable())).happens(events.Started, ()).happens(events.LauncherSaid, report)
    )
    return story.secret()


def checks_in(story: Story, seconds: float = 61) -> Story:
    """Time passes until a check-in is under way."""
    return story.passes(seconds)


def offer(candidate: Candidate = OURS, running: str = OLD_ID) -> Offer:
    release = candidate.release
    assert release is not None
    digest = releases.transaction_of(release, running).digest
    return Offer(
        OFFER, ME.endpoint_id, ROLLOUT, 1, digest, candidate.updates, SERVER_MS, SERVER_MS + 600_000, release=release
    )  # fmt: skip


def asked(report: LauncherReport = REPORT, candidate: Candidate = OURS, running: str = OLD_ID) -> Story:
    """An agent that was offered a release and has asked its launcher for it."""
    story = checks_in(launched(report).reply(candidates=(candidate,)))
    return story.reply(candidates=(candidate,), offers=(sign(offer(candidate, running)),))


def next_process(story: Story, report: LauncherReport, candidate: Candidate = OURS) -> Story:
    """Whatever runs then finds what the one before it has written down."""
    return launched(report, story.state.durable).reply(candidates=(candidate,))


def told_at_once(story: Story, report: LauncherReport) -> TransactionResult:
    """What the next process puts into the spool as soon as it has read the launcher's report."""
    after = Story(State(ME, story.state.durable)).happens(events.Started, ())
    return after.happens(events.LauncherSaid, report).the(commands.SpoolResult).result


def answers(story: Story) -> tuple[list[str], list[str]]:
    """(rollouts it is ready for, codes of those it is not ready for) of its next check-in."""
    story.now_s += 2
    story.happens(events.Tick)
    body = story.the(commands.DoCheckIn).body
    return [r.rollout_id for r in body.ready], [n.code for n in body.not_ready]


def test_it_says_ready_at_once_and_healthy_when_the_cell_and_the_look_were_good() -> None:
    story = Story(State(ME, model.Durable(inventory_sequence=4))).happens(events.Started, ())
    assert story.the(commands.TellLauncher).word == "READY"
    story.secret().reply()
    assert story.none(commands.TellLauncher)
    story.scanned(0)
    assert story.the(commands.TellLauncher).word == "HEALTHY"


def test_where_no_look_ever_worked_a_failing_one_is_no_fault_of_this_release() -> None:
    story = Story(State(ME, model.Durable())).happens(events.Started, ()).secret().reply()
    assert story.the(commands.TellLauncher).word == "HEALTHY"


def test_ready_for_a_release_without_any_plan_also_where_policy_only_assesses() -> None:
    story = launched().reply(candidates=(OURS,), settings=Settings(Mode.ASSESS))
    assert story.none(commands.StartPlan)
    assert answers(story) == ([ROLLOUT], [])


NOT_READY = [
    (replace(REPORT, confirmed=NEW.release_id), "", "nothing_to_do"),
    (replace(REPORT, quarantined=(NEW.release_id,)), "", "refused"),
    (replace(REPORT, recalled=(NEW.release_id,)), "", "refused"),
    (replace(REPORT, trial="3.0.0-" + "0" * 12), "", "busy"),
    (replace(REPORT, host_guard="waits"), "", "busy"),
    (REPORT, {"self_update": False}, "self_update_off"),
    (REPORT, {"pin": OLD_ID}, "pinned"),
]


@pytest.mark.parametrize(("report", "follow", "code"), NOT_READY)
def test_why_it_is_not_ready(report: LauncherReport, follow: Any, code: str) -> None:
    story = launched(report)
    story.reply(candidates=(OURS,), follow=json.dumps({"signed": follow}) if follow else "")
    assert answers(story) == ([], [code])


def test_what_its_launcher_has_taken_by_itself_counts_as_ready() -> None:
    """After a boot the launcher looks before any agent speaks. Nobody would count what became of it otherwise."""
    report = replace(REPORT, running=NEW.release_id, trial=NEW.release_id)
    story = launched(report).reply(candidates=(OURS,))
    assert answers(story) == ([ROLLOUT], [])
    story.reply(candidates=(OURS,), offers=(sign(offer()),))
    story.passes(3)
    assert not story.state.stopping, "it is not asked for once more"
    (session,) = story.state.durable.sessions
    assert session.phase is SessionPhase.RUNNING
    story.happens(events.LauncherSaid, replace(REPORT, running=NEW.release_id, confirmed=NEW.release_id))
    assert story.the(commands.SpoolResult).result.outcome is Outcome.INSTALLED


def test_what_its_launcher_has_taken_and_given_up_before_any_agent_spoke_is_told_as_a_failure() -> None:
    """It crashed three times in a row after a look of the launcher's own: the brake must hear of just that."""
    end = TrialReport(NEW.release_id, "reverted", "exited", "ended with code 1.", 3, "Traceback")
    story = launched(replace(REPORT, last_trial=end, quarantined=(NEW.release_id,))).reply(candidates=(OURS,))
    assert answers(story) == ([ROLLOUT], [])
    story.reply(candidates=(OURS,), offers=(sign(offer()),))
    story.passes(3)
    assert not story.state.stopping, "nothing is left to be asked for"
    result = story.the(commands.SpoolResult).result
    assert (result.outcome, result.code) == (Outcome.FAILED, "trial_exited")


def test_without_a_launcher_no_release_is_taken() -> None:
    story = Story(State(ME, model.Durable())).happens(events.Started, ()).secret().reply(candidates=(OURS,))
    assert answers(story) == ([], ["no_launcher"])


def test_an_offer_makes_it_ask_its_launcher_once_it_is_written_down() -> None:
    story = asked()
    assert isinstance(story.said[-1], commands.AskLauncher)
    (session,) = story.state.durable.sessions
    assert (session.phase, session.release) == (SessionPhase.ASKED, NEW.release_id)
    assert story.state.stopping


def test_what_its_launcher_has_taken_by_itself_is_not_asked_for_on_probation() -> None:
    """Else the asking would end one of its three executions."""
    before = checks_in(launched().reply(candidates=(OURS,)))
    (queued,) = asked().state.durable.sessions
    queued = replace(queued, phase=SessionPhase.QUEUED, asks=0)
    durable = replace(before.state.durable, sessions=(queued,))
    story = launched(replace(REPORT, running=NEW.release_id, trial=NEW.release_id), durable).reply(candidates=(OURS,))
    checks_in(story)
    assert not story.state.stopping
    (session,) = story.state.durable.sessions
    assert session.phase is SessionPhase.RUNNING


def test_the_new_one_tells_of_its_own_confirmation() -> None:
    story = next_process(asked(), replace(REPORT, running=NEW.release_id, trial=NEW.release_id))
    (session,) = story.state.durable.sessions
    assert session.phase is SessionPhase.RUNNING
    story.now_s += 2
    assert OFFER in story.happens(events.Tick).the(commands.DoCheckIn).body.in_progress
    story.happens(events.LauncherSaid, replace(REPORT, running=NEW.release_id, confirmed=NEW.release_id))
    result = story.the(commands.SpoolResult).result
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok")


def test_the_last_known_good_tells_of_a_failed_trial() -> None:
    end = TrialReport(NEW.release_id, "reverted", "exited", "ended with code 1.", 3, "Traceback")
    result = told_at_once(asked(), replace(REPORT, last_trial=end, quarantined=(NEW.release_id,)))
    assert (result.outcome, result.code, result.log_tail) == (Outcome.FAILED, "trial_exited", "Traceback")
    assert "executed 3 times" in result.detail


def test_what_the_launcher_refuses_has_changed_nothing() -> None:
    end = TrialReport(NEW.release_id, "refused", "no_space", "there is no space", 0)
    assert told_at_once(asked(), replace(REPORT, last_trial=end)).outcome is Outcome.REFUSED


def test_a_launcher_that_took_nothing_is_asked_again_and_at_last_it_is_said_why() -> None:
    story = next_process(asked(), replace(REPORT, problems=("download: the cell answers 500",)))
    assert story.none(commands.AskLauncher)
    story.now_s = releases.ASK_AGAIN_S + 1
    assert story.happens(events.Tick).the(commands.AskLauncher)
    story = next_process(story, replace(REPORT, problems=("download: the cell answers 500",)))
    story.now_s = 700
    result = story.happens(events.Tick).the(commands.SpoolResult).result
    assert (result.outcome, result.code) == (Outcome.EXPIRED, "not_taken")
    assert "the cell answers 500" in result.detail


def test_while_a_release_is_on_probation_no_long_poll_is_held() -> None:
    story = next_process(asked(), replace(REPORT, running=NEW.release_id, trial=NEW.release_id)).scanned()
    story.now_s += 2
    story.happens(events.InventoryAcknowledged, InventoryAck(1, "d"))
    assert story.the(commands.DoCheckIn).wait_s == 0


def test_a_halted_rollout_is_not_asked_for() -> None:
    story = checks_in(launched().reply(candidates=(OURS,)))
    story.reply(halted=(ROLLOUT,), offers=(sign(offer()),))
    assert story.none(commands.AskLauncher)
    assert story.the(commands.SpoolResult).result.code == "halted"


def test_a_recalled_release_that_runs_asks_for_a_look_once_and_then_rarely() -> None:
    story = launched().reply(recalled=(OLD_ID,))
    assert isinstance(story.said[-1], commands.AskLauncher)
    again = launched(REPORT, story.state.durable).reply(recalled=(OLD_ID,))
    assert again.none(commands.AskLauncher)
    checks_in(again, releases.RECALL_AGAIN_S + 1)
    assert again.reply(recalled=(OLD_ID,)).the(commands.AskLauncher)


def test_a_new_order_for_the_launcher_is_kept_once() -> None:
    story = launched().reply(follow="{}")
    assert story.the(commands.StoreFollow).text == "{}"
    checks_in(story)
    assert story.reply(follow="{}").none(commands.StoreFollow)


def test_updates_of_the_vendor_are_planned_beside_a_release() -> None:
    story = launched().reply(candidates=(CANDIDATE, OURS)).scanned(0)
    assert story.the(commands.StartPlan).candidate == CANDIDATE


# --- releases of the launcher --------------------------------------------------------------------------------------

NEWER = ReleaseRef("launcher", "1.2.0", "launcher/1.2.0/any/bundle.tar", "ef" * 32, 1000, 3)
SLOTTED = replace(REPORT, launcher_slot="a", launcher_release="1.1.0-" + "ab" * 6)
LAUNCHERS = Candidate(ROLLOUT, 1, (UpdateRef("brakeline-launcher", NEWER.release_id),), release=NEWER)


@pytest.mark.parametrize(
    ("report", "follow", "codes"),
    [
        (SLOTTED, "", []),
        (SLOTTED, {"pin": OLD_ID}, []),
        (SLOTTED, {"self_update": False}, ["self_update_off"]),
        (REPORT, "", ["no_launcher"]),
        (replace(SLOTTED, launcher_waits="the agent is young"), "", ["busy"]),
        (replace(SLOTTED, trial="3.0.0-" + "0" * 12), "", ["busy"]),
        (replace(SLOTTED, launcher_trial="1.1.5-" + "0" * 12), "", ["busy"]),
        (replace(SLOTTED, launcher_failed=(NEWER.release_id,)), "", ["refused"]),
        (replace(SLOTTED, launcher_release=NEWER.release_id), "", ["nothing_to_do"]),
    ],
)
def test_whether_a_release_of_the_launcher_is_taken(report: LauncherReport, follow: Any, codes: list[str]) -> None:
    story = launched(report)
    story.reply(candidates=(LAUNCHERS,), follow=json.dumps({"signed": follow}) if follow else "")
    assert answers(story) == ([] if codes else [ROLLOUT], codes)


def test_while_a_launcher_is_on_trial_no_agent_is_taken() -> None:
    story = launched(replace(SLOTTED, launcher_trial=NEWER.release_id)).reply(candidates=(OURS,))
    assert answers(story) == ([], ["busy"])


def launcher_asked() -> Story:
    story = asked(SLOTTED, LAUNCHERS, SLOTTED.launcher_release)
    assert isinstance(story.said[-1], commands.AskLauncher)
    return story


def test_the_agent_tells_what_came_of_its_launcher_s_trial() -> None:
    on_trial = replace(SLOTTED, launcher_slot="b", launcher_release=NEWER.release_id, launcher_trial=NEWER.release_id)
    story = next_process(launcher_asked(), on_trial, LAUNCHERS)
    assert story.state.durable.sessions[0].phase is SessionPhase.RUNNING
    story.happens(events.LauncherSaid, replace(on_trial, launcher_trial=""))
    result = story.the(commands.SpoolResult).result
    assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok")


def test_the_launcher_before_has_its_agent_tell_of_a_failed_trial() -> None:
    end = TrialReport(NEWER.release_id, "reverted", "late", "it did not say READY in time", 1)
    report = replace(SLOTTED, launcher_last_trial=end, launcher_failed=(NEWER.release_id,))
    result = told_at_once(launcher_asked(), report)
    assert (result.outcome, result.code) == (Outcome.FAILED, "trial_late")


def test_a_recalled_launcher_makes_the_agent_ask_for_a_look() -> None:
    assert isinstance(launched(SLOTTED).reply(recalled=(SLOTTED.launcher_release,)).said[-1], commands.AskLauncher)
