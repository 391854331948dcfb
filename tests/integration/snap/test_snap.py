"""snapd's provider on a stand-in for its socket: *not run on the real system*."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.aptroot import order
from tests.snapdstandin import Endpoint, endpoint

from brakeline.agent.providers.model import Bounds, Inverse, Planned, Refreshed, Refused
from brakeline.core.clock import ManualClock
from brakeline.protocol.messages import Outcome, TransactionResult, UpdateRef, UpdateState

long = pytest.mark.long


@pytest.fixture
def box() -> Iterator[Endpoint]:
    with endpoint() as made:
        made.install("firefox", "100", "v122.0")
        made.install("jq", "5", "1.6")
        made.world.store |= {"firefox": ("101", "v123.0"), "jq": ("6", "1.7")}
        assert isinstance(made.provider.refresh(), Refreshed)
        yield made


def planned(box: Endpoint, *asked: tuple[str, str]) -> Planned:
    answer = box.provider.plan(tuple(UpdateRef(f"{n}:snap", v) for n, v in asked), Bounds())
    assert isinstance(answer, Planned), answer
    return answer


def apply(box: Endpoint, plan: Planned, bounds: Bounds | None = None) -> TransactionResult:
    return box.provider.apply(order(plan.transaction, bounds or Bounds()), lambda _: None)


def test_exact_revision_and_revert_as_the_way_back(box: Endpoint) -> None:
    here = {p.name: (p.version, p.origin, p.ecosystem) for p in box.provider.inventory()}
    assert here["firefox"] == ("v122.0+100", "latest/stable", "snap")
    result = apply(box, planned(box, ("firefox", "v123.0+101")))
    assert (result.outcome, result.code, box.world.active["firefox"]) == (Outcome.INSTALLED, "ok", "101")
    assert result.way_back is not None
    assert result.way_back.stored
    box.world.offline = True  # what is on the disk needs no store
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    back = replace(order(left.transaction, Bounds(allow_downgrades=True), 2), inverse=left)
    done = box.provider.apply(back, lambda _: None)
    assert (done.code, box.world.active["firefox"]) == ("ok", "100"), done.detail
    assert [body for _, body in box.world.said] == [
        {"action": "refresh", "revision": "101"}, {"action": "revert", "revision": "100"},
    ]  # fmt: skip


@long
def test_second_order_of_a_rollout_keeps_the_way_back_from_the_first(box: Endpoint) -> None:
    """As an endpoint gets one where only a part was done: what was done has no other way back."""
    assert apply(box, planned(box, ("firefox", "v123.0+101"))).code == "ok"
    again = box.provider.apply(order(planned(box, ("jq", "1.7+6")).transaction, number=2), lambda _: None)
    assert again.way_back is not None
    assert (again.code, again.way_back.packages) == ("ok", 2)
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    assert [a.name for a in left.transaction.actions] == ["firefox", "jq"]


@long
def test_former_revision_that_snapd_has_cleared_away_is_no_way_back(box: Endpoint) -> None:
    apply(box, planned(box, ("jq", "1.7+6")))
    del box.world.disk["jq"]["5"]
    left = box.provider.undo("ro_1", look=True)
    assert isinstance(left, Inverse), left
    back = replace(order(left.transaction, Bounds(allow_downgrades=True), 2), inverse=left)
    done = box.provider.apply(back, lambda _: None)
    assert (done.outcome, done.code, box.world.active["jq"]) == (Outcome.REFUSED, "no_way_back", "6")


@long
def test_running_applications_keep_it_back_and_say_so(box: Endpoint) -> None:
    plan = planned(box, ("firefox", "v123.0+101"))
    box.world.running.add("firefox")
    waits = {u.name: u for u in box.provider.available()}
    assert (waits["firefox"].state, "applications run" in waits["firefox"].reason) == (UpdateState.KEPT_BACK, True)
    refused = box.provider.plan((UpdateRef("firefox:snap", "v123.0+101"),), Bounds())
    assert isinstance(refused, Refused)
    assert refused.code == "busy"
    result = apply(box, plan)
    assert (result.outcome, result.code, result.changes) == (Outcome.REFUSED, "busy", ()), result.detail


@long
def test_change_of_snapd_s_own_is_waited_for_and_named(box: Endpoint) -> None:
    plan = planned(box, ("firefox", "v123.0+101"))
    box.world.conflict = True
    result = apply(box, plan, Bounds(lock_wait_s=1))
    assert (result.outcome, result.code) == (Outcome.REFUSED, "lock_timeout")
    assert "auto-refresh" in result.detail


@long
def test_store_that_moved_on_is_a_changed_situation(box: Endpoint) -> None:
    plan = planned(box, ("firefox", "v123.0+101"))
    box.world.store["firefox"] = ("102", "v124.0")
    result = apply(box, plan)
    assert (result.outcome, result.code, box.world.active["firefox"]) == (Outcome.REFUSED, "changed", "100")


@long
def test_hook_that_fails_takes_what_was_done_before_it_back(box: Endpoint) -> None:
    plan = planned(box, ("firefox", "v123.0+101"), ("jq", "1.7+6"))
    box.world.fails.add("jq")
    result = apply(box, plan)
    assert (result.outcome, result.code, result.changes) == (Outcome.FAILED, "snap_failed", ()), result.detail
    assert "hook" in result.detail
    assert box.world.active == {"firefox": "100", "jq": "5"}


@long
def test_change_that_takes_too_long_is_undone(box: Endpoint) -> None:
    plan = planned(box, ("firefox", "v123.0+101"))
    box.world.slow.add("firefox")
    result = apply(box, plan, Bounds(run_s_max=1))
    assert (result.outcome, result.code, box.world.active["firefox"]) == (Outcome.FAILED, "timeout", "100")
    assert box.world.said[-1] == ("/v2/changes/1", {"action": "abort"})


def test_snapd_that_starts_anew_in_the_middle_of_a_change_is_waited_for(box: Endpoint) -> None:
    """Its own update does that, and that of the base that it runs on."""
    plan = planned(box, ("firefox", "v123.0+101"))
    box.world.deaf = 2
    result = apply(box, plan)
    assert (result.outcome, result.code, box.world.deaf) == (Outcome.INSTALLED, "ok", 0), result.detail


@long
def test_snapd_that_stays_silent_or_undoes_nothing_is_told_as_that(box: Endpoint) -> None:
    plan, clock = planned(box, ("firefox", "v123.0+101")), ManualClock()
    provider = replace(box.provider, clock=clock, sleep=lambda s: clock.advance(100 * s))
    box.world.stuck.add("firefox")
    result = provider.apply(order(plan.transaction), lambda _: None)
    assert (result.outcome, result.code) == (Outcome.FAILED, "timeout")
    assert "snapd is still at it" in result.detail
    box.world.deaf = 1_000_000
    result = provider.apply(order(plan.transaction), lambda _: None)
    assert (result.outcome, result.code) == (Outcome.FAILED, "snap_failed")
    assert "what is installed is not known" in result.detail


@long
def test_disk_that_takes_nothing_before_the_change_is_a_refusal(box: Endpoint) -> None:
    plan = planned(box, ("jq", "1.7+6"))
    place = box.root / "var/lib/brakeline-helper/tx/tx_1"
    place.parent.mkdir(parents=True)
    place.write_text("no directory")
    result = apply(box, plan)
    assert (result.outcome, result.code, box.world.active["jq"]) == (Outcome.REFUSED, "no_space", "5"), result.detail


@long
def test_quarantined_and_snapd_that_gives_no_answer(box: Endpoint) -> None:
    asked = (UpdateRef("jq:snap", "1.7+6"),)
    refused = box.provider.plan(asked, Bounds(without=(UpdateRef("jq", "1.7+6"),)))
    assert isinstance(refused, Refused)
    assert refused.code == "quarantined"
    plan = planned(box, ("jq", "1.7+6"))
    (box.root / "run/snapd.socket").unlink()
    assert (apply(box, plan).code, apply(box, plan).outcome) == ("snap_failed", Outcome.REFUSED)
    for answer in (box.provider.plan(asked, Bounds()), box.provider.refresh()):
        assert isinstance(answer, Refused)
        assert answer.code == "snap_failed"
    with pytest.raises(Exception, match="could not be asked"):
        box.provider.survey()
