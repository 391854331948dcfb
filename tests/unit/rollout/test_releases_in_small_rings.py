"""What halts a release of ours where statistics cannot speak: a failed trial, one that fell back, one that is mute."""

from __future__ import annotations

from dataclasses import replace

from brakeline.fleet.model import Presence
from brakeline.protocol.messages import LauncherReport
from brakeline.rollout import brake, situation
from brakeline.rollout.model import (
    Arm,
    Change,
    Halt,
    Observed,
    Pin,
    Policy,
    Progress,
    State,
    Subject,
)
from brakeline.rollout.planner import first_blueprint
from brakeline.rollout.presets import for_release, policy_for
from brakeline.rollout.store.arms import SubjectRow
from brakeline.rollout.summary import summarise

ID = "2.0.0-" + "a" * 12
POLICY = for_release(policy_for(6, "rehearsal"))
NOW_MS = 1_000_000
TREATED = Subject("ep_t", Arm.TREATED, 0, 2, "eu", "server", 1, NOW_MS - 70_000, 2, progress=Progress.STARTED,
                  last_heard_ms=NOW_MS - 5_000)  # fmt: skip
CONTROL = replace(TREATED, endpoint_id="ep_c", arm=Arm.CONTROL, progress=Progress.NONE)


def verdict(policy: Policy, *subjects: Subject) -> object:
    return judgement(policy, *subjects).verdict


def judgement(policy: Policy, *subjects: Subject) -> brake.Judgement:
    observed = Observed(Change((Pin("brakeline-agent", ID),)), 6, subjects, {}, {}, data_ms=NOW_MS)
    return brake.judge(policy, summarise(policy, first_blueprint("ro_1", 0), observed, NOW_MS), NOW_MS)


def test_one_explicit_failure_halts_a_release_and_only_holds_an_update() -> None:
    failed = replace(TREATED, progress=Progress.FAILED, explicit=True, detail="trial_exited: ended with code 1")
    assert isinstance(verdict(POLICY, failed, CONTROL), Halt)
    assert not isinstance(verdict(policy_for(6, "rehearsal"), failed, CONTROL), Halt)


def test_who_takes_a_release_and_is_not_heard_again_halts_it() -> None:
    mute = replace(TREATED, last_heard_ms=TREATED.ready_ms)
    found = verdict(POLICY, mute, CONTROL)
    assert isinstance(found, Halt)
    assert "ep_t took the release and has not been heard for 70 s" in found.reason
    assert not isinstance(verdict(policy_for(6, "rehearsal"), mute, CONTROL), Halt)


def test_silence_halts_nothing_while_it_can_have_another_cause() -> None:
    mute = replace(TREATED, last_heard_ms=TREATED.ready_ms)
    innocent = {
        "nobody to compare with": (mute,),
        "the region is dark": (mute, replace(CONTROL, last_heard_ms=0)),
        "it said goodbye": (replace(mute, asleep_now=True), CONTROL),
        "a person knows of it": (replace(mute, set_aside_ms=1), CONTROL),
        "too early": (replace(mute, ready_ms=NOW_MS - 45_000), CONTROL),
        "a laptop may be away": (replace(mute, machine_class="laptop"), CONTROL),
    }
    halted = [why for why, subjects in innocent.items() if isinstance(verdict(POLICY, *subjects), Halt)]
    assert halted == []


def test_a_confirmed_release_that_gave_way_to_the_one_before_is_an_explicit_failure() -> None:
    row = SubjectRow(replace(TREATED, progress=Progress.INSTALLED), frozenset(), NOW_MS - 60_000)
    report = LauncherReport(running="1.0.0-" + "b" * 12, confirmed=ID, host_guard="waits after the host's death")
    seen = Presence(NOW_MS, launcher=report)
    left = situation.with_presence(POLICY, row, seen, NOW_MS, ID)
    assert left.explicit
    assert "waits after the host's death" in left.detail
    for other in (replace(report, running=ID), replace(report, running=""), replace(report, confirmed=report.running)):
        stays = situation.with_presence(POLICY, row, replace(seen, launcher=other), NOW_MS, ID)
        assert not stays.explicit
    assert not situation.with_presence(POLICY, row, seen, NOW_MS, "").explicit, "no release, nothing to fall back from"


def test_confirmed_content_that_an_endpoint_does_without_is_an_explicit_failure() -> None:
    agent, newer = "1.0.0-" + "b" * 12, "3.0.0-" + "c" * 12
    report = LauncherReport(running=agent, confirmed=agent, content=ID, running_content="")
    assert situation.fell_back(ID, Presence(NOW_MS, launcher=report)).startswith("fell_back: no content is used")
    for fine in (
        replace(report, running_content=ID),
        replace(report, running=""),
        replace(report, trial=newer, running_content=newer),
    ):
        assert situation.fell_back(ID, Presence(NOW_MS, launcher=fine)) == ""


def test_an_agent_that_answers_and_never_brings_its_offer_to_an_end_is_an_explicit_failure() -> None:
    """Its launcher has confirmed it; the offer of the release itself is the probe that it does not take."""
    took_ms = NOW_MS - POLICY.checkpoints_s[0] * 1000
    row = SubjectRow(TREATED, frozenset(), took_ms)
    seen = Presence(NOW_MS, launcher=LauncherReport(running=ID, confirmed=ID))
    idle = situation.with_presence(POLICY, row, seen, NOW_MS, ID)
    assert idle.explicit
    assert "told no end of its offer" in idle.detail
    assert isinstance(verdict(POLICY, idle, CONTROL), Halt)
    innocent = {
        "it has told": replace(row, subject=replace(TREATED, progress=Progress.INSTALLED)),
        "confirmed a moment ago": replace(row, ended_ms=took_ms + 1000),
        "still on probation": replace(row, ended_ms=0),
    }
    for why, other in innocent.items():
        assert not situation.with_presence(POLICY, other, seen, NOW_MS, ID).explicit, why
    away = replace(seen, last_check_in_ms=took_ms + 1000)
    assert not situation.with_presence(POLICY, row, away, NOW_MS, ID).explicit, "not heard since: that is silence"


def test_the_launcher_says_when_a_release_was_taken_whatever_the_agent_says() -> None:
    seen = Presence(NOW_MS, launcher=LauncherReport(running=ID, confirmed=ID))
    untold = (Progress.OFFERED, Progress.EXPIRED, Progress.STARTED)
    for progress in Progress:
        row = SubjectRow(replace(TREATED, progress=progress), frozenset(), 0)
        assert situation.taken_by_launcher(ID, row, seen) is (progress in untold), progress
    row = SubjectRow(TREATED, frozenset(), 0)
    assert not situation.taken_by_launcher(ID, replace(row, ended_ms=1), seen), "written down already"
    assert not situation.taken_by_launcher(ID, row, Presence(NOW_MS, launcher=LauncherReport(trial=ID)))
    assert not situation.taken_by_launcher(ID, replace(row, subject=CONTROL), seen)


def test_the_report_says_so_when_every_endpoint_is_heard() -> None:
    lines = judgement(POLICY, TREATED, CONTROL).lines
    assert [x.state for x in lines if x.gate == "silence"] == [State.OK]
