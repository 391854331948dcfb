"""What an agent believes of settings that nobody has signed: whatever narrows, and nothing that widens."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.agent.test_decide import (
    CANDIDATE,
    LOCAL_MS,
    ME,
    OFFER,
    OFFERED,
    PATCH,
    PLAN,
    SERVER_MS,
    Story,
    begun,
    grant,
    idle,
    prepared,
    sign,
)

from brakeline.agent import agenda, ceiling, commands, events, taking
from brakeline.agent.model import Allowed, Durable, Instant, State
from brakeline.core.weekly import DAY_MIN, NEVER
from brakeline.protocol.digests import transaction_digest
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Conffiles,
    Harms,
    LocalLimits,
    Mode,
    Offer,
    RestartConsent,
    Settings,
    UpdateRef,
)
from brakeline.protocol.settings import UNSAID, WIDEST

NIGHTS = Settings(Mode.PATCH, windows=("daily 22:00/06:00",))
OTHER = "ep_01JD0000000000000000000002"


def told(story: Story, **parts: object) -> Settings:
    """What it runs by after a reply."""
    story.now_s += 61
    story.state = replace(story.state, link=replace(story.state.link, busy=True))
    return story.reply(**parts).state.durable.settings


def fresh() -> Story:
    return begun().secret()


def test_unsigned_settings_widen_nothing() -> None:
    story = fresh()
    assert told(story, settings=WIDEST, granted=None).mode is Mode.ASSESS
    assert "mode" in story.state.wider
    assert any(
        "wishes more than any signed order allows" in c.line for c in story.said if isinstance(c, commands.Report)
    )
    told(story, settings=WIDEST, granted=None)
    assert story.none(commands.Report)  # said once


def test_a_signed_grant_is_the_widest_and_unsigned_settings_narrow_it_at_once() -> None:
    story = fresh()
    assert told(story, settings=PATCH, granted=grant(PATCH, 1)).mode is Mode.PATCH
    assert told(story, settings=Settings(), granted=grant(PATCH, 1)).mode is Mode.ASSESS
    assert told(story, settings=NIGHTS, granted=grant(PATCH, 1)).windows == NIGHTS.windows
    assert told(story, settings=PATCH, granted=grant(PATCH, 1)) == PATCH
    assert told(story, settings=PATCH, granted=None) == PATCH  # it is remembered


def test_a_forged_grant_and_one_for_another_endpoint_are_not_believed() -> None:
    for bad in (grant(WIDEST, 9, seed=b"x" * 32), grant(WIDEST, 9, endpoint_id=OTHER), sign(OFFERED),
                replace(grant(WIDEST, 9), signature="zz"), replace(grant(WIDEST, 9), payload=" " * 9000)):  # fmt: skip
        story = fresh()
        assert told(story, settings=WIDEST, granted=bad).mode is Mode.ASSESS
        assert any("not believed" in c.line for c in story.said if isinstance(c, commands.Report))


def test_an_older_grant_is_a_downgrade_and_changes_nothing() -> None:
    story = fresh()
    told(story, settings=PATCH, granted=grant(PATCH, 1))
    told(story, settings=NIGHTS, granted=grant(NIGHTS, 2))
    assert told(story, settings=PATCH, granted=grant(PATCH, 1)).windows == NIGHTS.windows
    assert any("older than the one that holds" in c.line for c in story.said if isinstance(c, commands.Report))
    assert told(story, settings=PATCH, granted=grant(PATCH, 2)).windows == NIGHTS.windows  # another of the same number


def test_it_survives_a_crash_and_not_another_identity() -> None:
    story = fresh()
    told(story, settings=PATCH, granted=grant(PATCH, 5))
    again = Story(State(ME, story.state.durable)).happens(events.Started, ()).secret()
    assert told(again, settings=PATCH, granted=grant(WIDEST, 4)) == PATCH
    copied = Story(State(replace(ME, endpoint_id=OTHER), story.state.durable)).happens(events.Started, ()).secret()
    assert told(copied, settings=PATCH, granted=None).mode is Mode.ASSESS


def test_what_an_older_release_ran_by_is_allowed_until_the_first_grant() -> None:
    story = Story(State(ME, Durable(settings=NIGHTS))).happens(events.Started, ()).secret()
    assert story.state.durable.allowed == Allowed(ME.endpoint_id, NIGHTS, 0)
    assert told(story, settings=PATCH, granted=None).windows == NIGHTS.windows
    assert told(story, settings=PATCH, granted=grant(PATCH, 1)) == PATCH


# --- offers --------------------------------------------------------------------------------------------------------

ROLLOUT = "ro_01JD0000000000000000000007"
PIN = (UpdateRef(taking.PACKAGE, "0123456789ab"),)


def offered(story: Story, issued_ms: int, offer_id: str = OFFER) -> Offer:
    """Of NIGHTS -> PATCH, right after a reply."""
    runs = taking.settings_digest(story.state.durable.settings)
    actions = (Action(ActionKind.UPGRADE, taking.PACKAGE, "all", runs, PIN[0].version),)
    return Offer(offer_id, ME.endpoint_id, ROLLOUT, 1, transaction_digest(actions), PIN, issued_ms,
                 story.server_ms() + 600_000, settings=PATCH)  # fmt: skip


def on_trial() -> Story:
    story = fresh()
    told(story, settings=NIGHTS, granted=grant(NIGHTS, 2))
    told(story, settings=NIGHTS, offers=(sign(offered(story, SERVER_MS + 5)),))
    assert story.state.durable.settings == PATCH
    return story


def test_an_offer_of_a_rollout_raises_the_ceiling_until_it_is_halted() -> None:
    story = on_trial()
    assert told(story, settings=PATCH, granted=grant(NIGHTS, 2)) == PATCH
    assert told(story, settings=PATCH, granted=grant(NIGHTS, 2), halted=(ROLLOUT,)).windows == NIGHTS.windows
    assert told(story, settings=PATCH, granted=grant(NIGHTS, 2)).windows == NIGHTS.windows  # and stays so


def test_a_newer_grant_ends_the_trial() -> None:
    story = on_trial()
    assert told(story, settings=PATCH, granted=grant(NIGHTS, SERVER_MS + 6)).windows == NIGHTS.windows


def test_an_offer_that_is_not_the_newest_is_refused_whatever_the_time_is_said_to_be() -> None:
    story = on_trial()
    told(story, settings=NIGHTS, granted=grant(NIGHTS, SERVER_MS + 50), halted=())
    replayed = offered(story, SERVER_MS + 5, "of_01JD0000000000000000000008")
    assert told(story, settings=NIGHTS, offers=(sign(replayed),)).windows == NIGHTS.windows
    assert story.the(commands.SpoolResult).result.code == "older"


def test_an_offer_for_another_endpoint_raises_nothing() -> None:
    story = fresh()
    told(story, settings=NIGHTS, granted=grant(NIGHTS, 2))
    foreign = replace(offered(story, SERVER_MS + 5), endpoint_id=OTHER)
    assert told(story, settings=PATCH, granted=grant(NIGHTS, 2), offers=(sign(foreign),)).windows == NIGHTS.windows


# --- root's own limits ---------------------------------------------------------------------------------------------


def limited(story: Story, settings: Settings | None, problem: str = "") -> Story:
    story.state = replace(story.state, me=replace(story.state.me, local=LocalLimits(settings, problem=problem)))
    return story


def test_root_s_limits_hold_below_whatever_is_signed_and_are_told() -> None:
    story = limited(fresh(), replace(WIDEST, mode=Mode.ASSESS, nice=10))
    told(story, settings=PATCH, granted=grant(PATCH, 1))
    assert story.state.durable.settings.mode is Mode.PATCH  # what the cell allows …
    runs = ceiling.running(story.state)
    assert (runs.mode, runs.nice) == (Mode.ASSESS, 10)  # … and what is done
    story.passes(62)
    said = story.the(commands.DoCheckIn).body.local
    assert said is not None
    assert said.settings is not None
    assert said.settings.nice == 10


def test_a_rollout_that_root_s_limits_do_not_allow_is_never_ready_here() -> None:
    story = limited(fresh(), replace(WIDEST, windows=NIGHTS.windows))
    told(story, settings=NIGHTS, granted=grant(NIGHTS, 1))
    refused = taking.answer(story.state, replace(CANDIDATE, updates=PIN, settings=PATCH))
    assert refused.code == "local_limits"  # type: ignore[union-attr]
    assert "maintenance windows" in refused.reason  # type: ignore[union-attr]


# --- windows -------------------------------------------------------------------------------------------------------


def at(story: Story) -> Instant:
    return Instant(story.now_s, LOCAL_MS, 0)


def minute(story: Story) -> int:
    return ceiling.minute(at(story), story.server_ms())


def around(story: Story, begin: int, end: int) -> tuple[str, ...]:
    """A window from so many minutes after now to so many."""
    now = minute(story)
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    a, b = now + begin, now + end
    texts = [f"{days[m // DAY_MIN % 7]} {m % DAY_MIN // 60:02}:{m % 60:02}" for m in (a, b)]
    return ("/".join(texts),)


def test_outside_of_its_windows_an_endpoint_is_not_ready_and_says_when_it_will_be() -> None:
    story = prepared()
    shut = replace(PATCH, windows=around(story, 120, 240))
    told(story, settings=shut, granted=grant(PATCH, 99), candidates=(CANDIDATE,))
    said = (
        story.the(commands.DoCheckIn).body
        if not story.none(commands.DoCheckIn)
        else story.passes(62).the(commands.DoCheckIn).body
    )
    assert said.ready == ()
    (refused,) = said.not_ready
    assert refused.code == "window"
    assert "opens" in refused.reason
    assert said.local is not None
    assert said.local.window.startswith("opens ")
    story.now_s += 121 * 60
    story.secret()
    told(story, settings=shut, granted=grant(PATCH, 99), candidates=(CANDIDATE,))
    body = story.passes(62).the(commands.DoCheckIn).body
    assert [r.transaction for r in body.ready] == [PLAN.transaction]


def test_the_endpoint_s_own_zone_counts() -> None:
    story = idle()
    now = minute(story)
    assert ceiling.minute(Instant(story.now_s, 0, 7200), story.server_ms()) == (now + 120) % (7 * DAY_MIN)


def test_an_order_that_waited_until_the_window_had_shut_is_refused() -> None:
    story = prepared()
    shut = replace(PATCH, windows=around(story, 120, 240))
    story.state = replace(story.state, durable=replace(story.state.durable, settings=shut))
    told(story, settings=shut, granted=grant(PATCH, 99), candidates=(CANDIDATE,), offers=(sign(OFFERED),))
    assert story.none(commands.AskHelper)
    assert story.the(commands.SpoolResult).result.code == "window"


def test_the_helper_is_told_the_narrower_of_both() -> None:
    story = limited(prepared(), replace(WIDEST, conffiles=Conffiles.KEEP))
    slow = replace(PATCH, download_kib_s=500, nice=5)
    told(story, settings=slow, granted=grant(slow, 99), candidates=(CANDIDATE,), offers=(sign(OFFERED),))
    bounds = story.the(commands.AskHelper).bounds
    assert (bounds.conffiles, bounds.download_kib_s, bounds.nice) == (Conffiles.KEEP, 500, 5)


def test_settings_from_nowhere_are_bounded_too() -> None:
    wild = Settings(Mode.PATCH, 1, 1, 1, ("mon 01:00/02:00",) * 101, RestartConsent.ANY, Conffiles.REPLACE, 99, 1, 99)
    found = taking.bounded(wild)
    assert (found.windows, found.restarts_a_day, found.download_kib_s, found.nice) == ((NEVER,), 4, 16, 19)


def test_nobody_is_ready_before_its_probes_were_tried_once() -> None:
    """Else a probe that fails after the change could not be told from one that failed before."""
    story = prepared()
    probing = replace(PATCH, probes=("web http://127.0.0.1:8080/",))
    allowed = LocalLimits(replace(UNSAID, probes=("http",)))
    story.state = replace(story.state, me=replace(story.state.me, local=allowed))

    def answers(harms: Harms | None) -> tuple[int, list[str]]:
        durable = replace(story.state.durable, settings=probing)
        state = replace(story.state, durable=durable, harms=harms)
        ready, not_ready = agenda._answers(state, Instant(story.now_s, 0, 0))
        return len(ready), [n.reason for n in not_ready]

    count, reasons = answers(Harms())
    assert (count, "have not been tried" in reasons[0]) == (0, True)
    assert answers(Harms(probes=("web",))) == (1, [])
    assert answers(Harms(probes=(), probes_failed=("web: HTTP 500",))) == (1, [])
    assert answers(None) == (1, [])  # an agent that can tell nothing waits for nothing
    story.state = replace(story.state, me=replace(story.state.me, local=LocalLimits()))
    assert answers(Harms()) == (1, [])  # root allows none: none will be tried
