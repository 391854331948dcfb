"""Which agents may hear of a rollout, and that who is told to fail in a drill stays the same from look to look."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brakeline.protocol.messages import DrillOrder, Mode, ReleaseRef, Settings
from brakeline.rollout import planner
from brakeline.rollout.drilling import change_of, failing
from brakeline.rollout.live import LiveRollout
from brakeline.rollout.model import Change, Pin, Policy, Report, Ring, Wish
from brakeline.rollout.store.arms import Target
from brakeline.rollout.store.rollouts import RolloutRow

UPDATES = Change((Pin("curl", "8.5.0"),))
REF = ReleaseRef("agent", "0.2.0", "agent/0.2.0/any/bundle.tar", "a" * 64, 1)
RELEASE = Change((Pin("brakeline", "0.2.0"),), kind="release", release=REF)
SETTINGS = Change((Pin("settings", "1"),), kind="settings")
FORMER, NEWER = Settings(Mode.PATCH), Settings(Mode.PATCH, windows=("daily 22:00/06:00",))


def live(change: Change, settings: Settings | None = None) -> LiveRollout:
    row = RolloutRow("ro_1", "x", change, Policy((Ring("all", 60, share=1.0),)), bytes(32), (), 0, "olga", Wish.RUN,
                     "olga", "", 0, 0, planner.first_blueprint("ro_1", 0), Report(()))  # fmt: skip
    targets = [Target(f"ep_{n}", f"web-{n}", "eu", "server", (), n, settings=settings) for n in range(4)]
    return LiveRollout(row, {t.endpoint_id: t for t in targets}, failing=failing(targets, change.fails))


@pytest.mark.parametrize(
    ("what", "needs"),
    [
        (live(UPDATES), set()),
        (live(RELEASE), {"launched"}),
        (live(SETTINGS, FORMER), {"settled"}),
        (live(SETTINGS, NEWER), {"settled", "bounded"}),
        (live(change_of("dr_1", 1)), {"drills"}),
    ],
)
def test_an_agent_hears_only_of_what_it_knows(what: LiveRollout, needs: set[str]) -> None:
    words = ("launched", "settled", "bounded", "drills")
    assert what.takes("ep_0", **{w: w in needs for w in words})
    for word in words:
        assert what.takes("ep_0", **{w: w != word for w in words}) is (word not in needs), word


def test_who_is_told_to_fail_stays_told() -> None:
    first = live(change_of("dr_1", 2))
    assert first.failing == {"ep_0", "ep_1"}
    assert first.follows(replace(first.row, wish=Wish.PAUSE)).failing == first.failing
    assert first.candidate("ep_0").drill == first.candidate("ep_3").drill == DrillOrder()  # none knows it beforehand
    assert live(UPDATES).failing == frozenset()
