"""What comes with a server: which agent a new machine begins with."""

from __future__ import annotations

from dataclasses import replace

from brakeline.releases.model import Release
from brakeline.releases.shipping import seed_of

FIRST, SECOND, THIRD = (
    Release("agent", f"{n}.0.0", n, "any", f"agent/{n}.0.0/any/bundle.tar", str(n) * 64, 10) for n in (1, 2, 3)
)
ALL = (THIRD, SECOND, FIRST)


def test_before_any_rollout_was_completed_it_is_the_first_and_not_the_newest() -> None:
    assert seed_of(ALL, ()) == FIRST
    assert seed_of((), ()) is None


def test_then_it_is_the_newest_that_a_rollout_has_completed() -> None:
    assert seed_of(ALL, {FIRST.release_id, SECOND.release_id}) == SECOND


def test_never_one_that_was_recalled_or_withdrawn_or_another_product() -> None:
    recalled, withdrawn = replace(SECOND, recalled_ms=1), replace(FIRST, withdrawn_ms=1)
    launcher = replace(FIRST, product="launcher")
    assert seed_of((THIRD, recalled, withdrawn, launcher), {SECOND.release_id, FIRST.release_id}) == THIRD
