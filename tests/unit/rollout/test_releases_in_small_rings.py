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
from brakeline.rollout.presets import for_release, policy_for
from brakeline.rollout.store.arms import SubjectRow

ID = "2.0.0-" + "a" * 12
POLICY = for_release(policy_for(6, "rehearsal"))
NOW_MS = 1_000_000
TREATED = Subject("ep_t", Arm.TREATED, 0, 2, "eu", "server", 1, NOW_MS - 70_000, 2, progress=Progress.STARTED,
                  last_heard_ms=NOW_MS - 5_000)  # fmt: skip
CONTROL = replace(TREATED, endpoint_id="ep_c", arm=Arm.CONTROL, progress=Progress.NONE)


def verdict(policy: Policy, *subjects: Subject) -> object:
    observed = Observed(Change((Pin("brakeline-agent", ID),)), 6, subjects, {}, {}, data_ms=NOW_MS)
    return brake.judge(policy, observed, (), frozenset(), NOW_MS).verdict


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


def test_the_report_says_so_when_every_endpoint_is_heard() -> None:
    observed = Observed(Change((Pin("x", "1"),)), 6, (TREATED, CONTROL), {}, {}, data_ms=NOW_MS)
    lines = brake.judge(POLICY, observed, (), frozenset(), NOW_MS).lines
    assert [x.state for x in lines if x.gate == "silence"] == [State.OK]
