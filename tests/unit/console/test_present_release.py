"""Releases, acts on them, keys and launchers in words: everything that does not move says why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.console import present_keys, present_launcher, present_release, present_release_acts, present_rollout
from brakeline.console.present_launcher import Beside
from brakeline.console.views import Tone
from brakeline.console.views_change import Choice
from brakeline.fleet.model import (
    EndpointDetail,
    EndpointState,
    EndpointSummary,
    FailedTrial,
    ReleaseStanding,
    ReleaseStandings,
    ReleaseTrials,
)
from brakeline.protocol.messages import Facts, LauncherReport, PackageManagerHealth, RebootNeed, TrialReport
from brakeline.releases.model import DAY_MS, ON_SERVER, KeyState, Release, Status
from brakeline.remediation.model import SelfUpdate
from brakeline.rollout.releasing import PromotionPlan, change_of
from brakeline.rollout.view import Member, RingView, RolloutView

NOW = 1_795_400_000_000
R = Release("agent", "1.4.0", 4, "any", "agent/1.4.0/any/bundle.tar", "ab" * 32, 1_371_203, NOW - 60_000, "alice")
ID = R.release_id
OLD = "1.3.0-5b1f0c9a77e2"
NONE = ReleaseTrials(ID, {}, ())
ON = SelfUpdate(0, True, "", "No policy says otherwise.")
OFF = SelfUpdate(3, False, "", "Off by: lab.")
GOOD = LauncherReport("0.1.0", OLD, OLD, "1.2.0-9a0c44d1f2ee")
WAITING = "rollout Release agent 1.4.0 is rolling: waits for its ring"


def detail(launcher: LauncherReport | None, seen_ms: int = NOW - 12_000) -> EndpointDetail:
    summary = EndpointSummary(
        "ep_1", "web-01", EndpointState.ACTIVE, "debian", "12", "Debian 12", "eu", (), "server", "0.1", seen_ms, False,
        0, 0, False, True, NOW, NOW,
    )  # fmt: skip
    facts = Facts("web-01", "debian", "12", "Debian 12", "6.1", "amd64")
    return EndpointDetail(
        summary, facts, "00", "", RebootNeed(False), PackageManagerHealth(True), (), "b", 0, 0, "", "", (), launcher
    )


# --- the endpoint's tab ----------------------------------------------------------------------------------------------


def test_without_a_launcher_the_page_says_so_and_what_to_do() -> None:
    view = present_launcher.launcher_view(detail(None), Beside(R, True, "", ON), NOW)
    assert view.state.word == "no launcher"
    assert "Add endpoint" in " ".join(view.absent)
    never = present_launcher.launcher_view(detail(None, 0), Beside(R, True, "", ON), NOW)
    assert never.state.word == "not known", "who was never heard may well have one"


@pytest.mark.parametrize(
    ("report", "word", "tone"),
    [
        (GOOD, "confirmed", Tone.OK),
        (replace(GOOD, running=ID, trial=ID), "on probation", Tone.INFO),
        (replace(GOOD, running="1.2.0-9a0c44d1f2ee"), "fell back", Tone.WARN),
        (replace(GOOD, running=""), "alone", Tone.BAD),
        (replace(GOOD, recalled=(OLD,)), "recalled", Tone.BAD),
    ],
)
def test_what_runs_says_how_far_it_is_trusted(report: LauncherReport, word: str, tone: Tone) -> None:
    badge, sentence = present_launcher.stands(report)
    assert (badge.word, badge.tone) == (word, tone)
    assert sentence


@pytest.mark.parametrize(
    ("report", "beside", "said"),
    [
        (GOOD, Beside(None, False, "", ON), "No release is published"),
        (replace(GOOD, running=ID, confirmed=ID), Beside(R, True, "", ON), "newest that is published"),
        (replace(GOOD, trial=ID), Beside(R, True, "", ON), "on probation here"),
        (replace(GOOD, quarantined=(ID,)), Beside(R, True, WAITING, ON), "failed here"),
        (GOOD, Beside(R, True, WAITING, OFF), "self-update is off here. Off by: lab."),
        (GOOD, Beside(R, True, WAITING, replace(ON, pin=OLD)), f"pins this endpoint to {OLD}"),
        (replace(GOOD, host_guard="it rests"), Beside(R, True, WAITING, ON), "guards the host: it rests"),
        (GOOD, Beside(R, True, WAITING, ON), "waits for its ring"),
        (GOOD, Beside(R, False, "", ON), "nobody has promoted it yet"),
        (replace(GOOD, problems=("unreachable: no route",)), Beside(R, True, "", ON), "cannot reach this server"),
        (GOOD, Beside(R, True, "", ON), "at its launcher's next look"),
        (GOOD, Beside(R, True, "", None), "at its launcher's next look"),
    ],
)  # fmt: skip
def test_an_endpoint_without_the_newest_release_says_why(report: LauncherReport, beside: Beside, said: str) -> None:
    badge, why = present_launcher.why_not_newer(report, beside)
    assert badge.word
    assert said in why


def test_self_update_is_on_off_pinned_or_not_known() -> None:
    words = [present_launcher.following(s)[0].word
             for s in (ON, replace(ON, on=False), replace(ON, pin=OLD), None)]  # fmt: skip
    assert words == ["on", "off", f"pinned to {OLD}", "not known"]


def test_problems_and_the_last_trial_are_shown_with_what_to_do_and_the_log() -> None:
    trial = TrialReport(ID, "reverted", "exited", "ended with code 1.", 3, "Traceback\n")
    report = replace(GOOD, problems=("metadata_expired: targets",), last_trial=trial, launcher_slot="a",
                     launcher_waits="the agent is not healthy yet")  # fmt: skip
    view = present_launcher.launcher_view(detail(report), Beside(R, True, "", ON), NOW)
    assert view.problems[0].next.startswith("Look at the keys")
    assert view.trial is not None
    assert (view.trial.why, view.trial.log_tail) == ("it ended by itself", "Traceback")
    assert any("waits: the agent is not healthy yet" in f.text for f in view.own)
    assert any("no stub" in f.text for f in present_launcher.own_facts(GOOD))
    for known in (report, GOOD):
        told = present_launcher.own_facts(replace(known, way="by the proxy p.example:3128"))
        assert "by the proxy p.example:3128" in [f.text for f in told]


def test_the_newest_release_is_the_highest_sequence_that_may_be_offered() -> None:
    recalled = replace(R, version="1.5.0", sequence=5, recalled_ms=NOW)
    of_launcher = replace(R, product="launcher", sequence=9)
    assert present_launcher.newest_of((recalled, R, replace(R, version="1.0", sequence=1), of_launcher), "agent") == R
    assert present_launcher.newest_of((recalled,), "agent") is None


# --- releases --------------------------------------------------------------------------------------------------------


def test_a_release_that_nobody_gets_says_what_to_do_next() -> None:
    view = present_release.release_view(R, ReleaseStanding(ID), {}, NONE, (), "", (), NOW)
    assert view.places == ()
    assert f"brakeline release plan {ID}" in view.rollouts_note
    assert "No launcher reports a failed trial" in view.trials_note
    assert all(k.href for k in view.kpis)


def test_a_recalled_release_that_still_runs_somewhere_is_alarming() -> None:
    ep = "ep_" + "0" * 26
    why = f"ro_1: 1 of 1 treated failed through the update itself; {ep}: trial_exited: x"
    r = replace(R, recalled_ms=NOW, recalled_reason=why,
                pardon_asked_ms=NOW, pardon_asked_by="bob")  # fmt: skip
    failed = FailedTrial(ep, "web-01", "reverted", "exited", "code 1", 3, "log", NOW - 5000)
    trials = ReleaseTrials(ID, {"exited": 7}, (failed,))
    view = present_release.release_view(r, ReleaseStanding(ID, 2, 0, 0, 7), {}, trials, (), "", (), NOW)
    recalled, pardon = (text for _, text in view.alerts)
    assert "through the release itself; web-01: the trial failed, it ended by itself: x" in recalled
    assert "2 endpoints had not obeyed" in recalled
    assert "bob asked" in pardon
    assert (view.kpis[0].tone, view.kpis[3].value) == (Tone.BAD, "7")
    assert "6 more are not listed" in view.trials_note
    assert [p.id for p in view.places] == ["running", "quarantined"]


def test_every_act_leads_to_its_step_or_says_why_not() -> None:
    for release in (R, replace(R, withdrawn_ms=NOW), replace(R, recalled_ms=NOW), replace(R, product="content")):
        for rights in ((True, True), (False, False)):
            for act in present_release_acts.acts(release, *rights):
                assert bool(act.href) != ("Not now:" in act.why), act
    possible = {a.word for a in present_release_acts.acts(R, publish=True, recall=True) if a.href}
    assert possible == {"Promote…", "Withdraw…", "Recall…"}
    recalled = replace(R, recalled_ms=NOW)
    assert {a.word for a in present_release_acts.acts(recalled, publish=True, recall=True) if a.href} == {
        "Withdraw…", "Pardon…"
    }  # fmt: skip
    assert not any(a.href for a in present_release_acts.acts(R, publish=False, recall=False))


def test_the_step_before_a_recall_names_how_many_it_ends_and_a_pardon_names_who_asked() -> None:
    acts = present_release_acts.acts(R, publish=True, recall=True)
    view = present_release_acts.act_view(R, ReleaseStanding(ID, 1), "recall", acts[2])
    assert "1 endpoint runs it now" in view.explain[0]
    asked = replace(R, recalled_ms=NOW, pardon_asked_ms=NOW, pardon_asked_by="bob")
    pardon = present_release_acts.acts(asked, publish=True, recall=True)[3]
    view = present_release_acts.act_view(asked, ReleaseStanding(ID), "pardon", pardon)
    assert "bob has asked for it: see Approvals" in view.explain[0]
    refused = present_release_acts.act_view(R, ReleaseStanding(ID), "pardon", acts[3])
    assert (refused.action, "it is not recalled" in refused.refused) == ("", True)


def test_a_plan_counts_rings_and_whom_it_cannot_reach() -> None:
    paces = (Choice("careful", "Careful", "", chosen=True),)
    rings = (RingView("canary", 3600, 1), RingView("all", 3600, 6))
    view = present_release_acts.promotion_view(
        R, PromotionPlan(ID, "agent", "careful", 6, 2, rings, ("s",)), paces, True
    )
    assert [(r.share, r.endpoints) for r in view.rings] == [("1 of 6", 1), ("6 of 6", 5)]
    assert view.notes[0].endswith(": 2.")
    assert "--expect 6" in view.command
    nobody = present_release_acts.promotion_view(R, PromotionPlan(ID, "agent", "careful", 0, 0, (), ()), paces, True)
    assert "enrol one first" in nobody.refused
    assert not nobody.may_start


def test_launchers_are_counted_in_words() -> None:
    said = [present_release.launchers_text(ReleaseStandings((), *n)) for n in ((0, 0), (6, 0), (5, 1))]
    assert said[0].startswith("No endpoint has enrolled")
    assert said[1:] == ["All 6 endpoints have a launcher.",
                        "5 of 6 endpoints have a launcher; the others take no release."]  # fmt: skip


# --- keys ------------------------------------------------------------------------------------------------------------


def test_keys_on_this_server_warn_and_offline_ones_are_calm() -> None:
    key = KeyState("targets", ("k",), 1, ("file on this server",), True, NOW + 5 * DAY_MS)
    view = present_keys.keys_view(Status("developer", 1, True, ON_SERVER, (key,), ("do this",)), NOW)
    assert (view.headline.word, view.headline.tone) == (ON_SERVER, Tone.WARN)
    assert (view.rows[0].place.tone, view.rows[0].expires_tone) == (Tone.WARN, Tone.WARN)
    away = replace(key, here=False, expires_ms=NOW + 80 * DAY_MS)
    calm = present_keys.keys_view(Status("installation", 2, False, "release keys are offline", (away,)), NOW)
    assert (calm.headline.tone, calm.rows[0].place.tone, calm.rows[0].expires_tone) == (Tone.OK, Tone.OK, Tone.IDLE)
    over = present_keys.key_row(replace(key, expires_ms=NOW - 1), NOW)
    assert (over.expires_tone, over.expires.endswith("over")) == (Tone.BAD, True)
    assert present_keys.keys_view(Status("broken", 0, False, "broken"), NOW).headline.tone is Tone.BAD


# --- rollouts of releases --------------------------------------------------------------------------------------------


def test_a_halted_release_is_never_resumed_and_speaks_of_releases(halted: RolloutView) -> None:
    view = present_rollout.rollout_view(halted, NOW, None, may_resume=True)
    assert view.releases == ()
    assert "publish a newer release" in view.alert
    assert "through the release itself; web-01: the trial failed, it ended by itself" in view.alert
    assert view.release is not None
    assert view.release.href == f"/releases/{ID}"
    assert (view.harmed[0].badge.word, view.harmed[0].note) == (
        "trial failed",
        "it ended by itself: ended with code 1.",
    )
    assert not any("update" in s for s in (view.alert, view.updates_note, *view.statistics))


@pytest.fixture
def halted() -> RolloutView:
    """A release that one canary has tried in vain."""
    from brakeline.rollout.model import Blueprint, Line, Phase, State, Wish
    from brakeline.rollout.presets import for_release, policy_for
    from brakeline.rollout.view import TargetName, build

    ep = "ep_" + "0" * 26
    line = Line("explicit", State.HALT, f"1 of 1 treated failed through the update itself; {ep}: trial_exited: code 1")
    view = build(
        rollout_id="ro_1", title="Release agent 1.4.0", change=change_of(R), policy=for_release(policy_for(6)),
        attributes=(), created_ms=NOW, created_by="alice", wish=Wish.RUN, lines=(line,),
        blueprint=Blueprint("ro_1", 1, 0, Phase.HALTED, 0, NOW), names=(TargetName(ep, "web-01", "eu", ""),),
        subjects=(), samples=(), log=(), population=6, now_ms=NOW,
    )  # fmt: skip
    tried = Member(ep, "web-01", "eu", "canary", "treated", "failed", "trial_exited: ended with code 1.")
    return replace(view, members=(tried,), spared=(), spared_ids=())
