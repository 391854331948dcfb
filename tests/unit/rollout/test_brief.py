"""The view for one screen: all numbers, and of endpoints only who must be read by name."""

from __future__ import annotations

from dataclasses import replace

from brakeline.protocol.codec import encode
from brakeline.rollout.brief import EXAMPLES_MAX, brief
from brakeline.rollout.model import Blueprint, Change, Line, Phase, Pin, State, Wish
from brakeline.rollout.planner import first_blueprint
from brakeline.rollout.presets import policy_for
from brakeline.rollout.view import Member, RolloutView, TargetName, build


def endpoint(n: int) -> str:
    return f"ep_{n:026}"


def view_of(size: int) -> RolloutView:
    """A halted rollout of `size` endpoints; a reason names the last one."""
    blueprint = Blueprint("ro_1", 2, 1, Phase.HALTED, 0, first_blueprint("ro_1", 0).made_ms)
    line = Line("explicit", State.HALT, f"halted: {endpoint(size - 1)} failed")
    names = [TargetName(endpoint(n), f"host-{n:06}", f"r{n % 4}", "") for n in range(size)]
    return build(
        rollout_id="ro_1", title="big", change=Change((Pin("a", "1"),)), policy=policy_for(size), attributes=(),
        created_ms=0, created_by="Olga", wish=Wish.RUN, blueprint=blueprint, lines=(line,), names=names, subjects=(),
        samples=(), log=(), population=size, now_ms=0,
    )  # fmt: skip


def test_a_small_rollout_is_told_whole() -> None:
    view = view_of(EXAMPLES_MAX)
    assert brief(view) is view
    assert view.spared_total == EXAMPLES_MAX


def test_of_many_a_few_are_named_and_all_are_counted() -> None:
    whole = view_of(20_000)
    short = brief(whole)
    assert short.spared_total == whole.spared_total == 20_000
    assert len(short.spared) == len(short.spared_ids) == EXAMPLES_MAX
    assert (short.grid, short.now, short.targets, short.exposed) == (
        whole.grid, whole.now, whole.targets, whole.exposed,
    )  # fmt: skip
    assert len(encode(short)) < 64 * 1024, "bounded, however many there are"


def test_whom_a_reason_names_can_be_named() -> None:
    assert endpoint(19_999) in {m.endpoint_id for m in brief(view_of(20_000)).members}


def test_those_who_were_hit_come_before_those_who_were_not() -> None:
    whole = view_of(500)
    hit = Member(endpoint(400), "host-000400", "r0", "canary", "treated", "silent", "")
    short = brief(replace(whole, members=(*whole.members[:400], hit, *whole.members[401:])))
    assert hit in short.members
