"""The frame that the system's managers share: locks are waited for by name, stops change nothing, losses are judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.aptroot import order

from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.frame import Run, Stop, applied, still_running, told
from brakeline.agent.providers.model import Bounds, Order
from brakeline.core.clock import ManualClock
from brakeline.protocol.messages import (
    Action,
    ActionKind,
    Outcome,
    PackageChange,
    PackageManagerHealth,
    TransactionResult,
    UpdateRef,
)

ACTION = Action(ActionKind.UPGRADE, "p", "all", "1", "2")
CHANGE = PackageChange("p", "all", "1", "2")
NOWHERE = Path("/nonexistent/log")


@dataclass
class Applier:
    clock: ManualClock = field(default_factory=ManualClock)
    ends: bool = False

    def health(self) -> PackageManagerHealth:
        return PackageManagerHealth(healthy=True)

    def stopping(self) -> bool:
        return self.ends

    def pause(self, seconds: float) -> None:
        self.clock.advance(seconds)


@dataclass(frozen=True)
class Held:
    lock: str = "/lock"

    def __str__(self) -> str:
        return "somebody (pid 7)"


def of(applier: Applier, said: list[str], asked: Order | None = None) -> Run[Applier]:
    asked = asked or order(make_transaction([ACTION]), Bounds(lock_wait_s=2))
    return Run(applier, asked, said.append, applier.clock.monotonic_s() + asked.bounds.run_s_max)


def test_a_lock_is_waited_for_and_its_holder_named_once() -> None:
    holders: Iterator[Held | None] = iter((Held(), Held(), Held(), None))
    said: list[str] = []
    applier = Applier()
    assert of(applier, said).wait_for_lock(lambda: next(holders), applier.pause) == 1
    assert said == ["Waiting for somebody (pid 7), which holds /lock."]


def test_past_the_bound_it_is_refused_and_nothing_was_changed() -> None:
    said: list[str] = []
    applier = Applier()
    run = of(applier, said)

    def carry_out(blank: TransactionResult) -> TransactionResult:
        run.wait_for_lock(Held, applier.pause)
        return replace(blank, outcome=Outcome.INSTALLED)

    result = applied(run, carry_out, NOWHERE)
    assert (result.outcome, result.code, result.changes) == (Outcome.REFUSED, "lock_timeout", ())
    assert result.detail == "/lock has been held by somebody (pid 7) for the 2 s we waited."
    assert said[-1] == f"Refused, nothing was changed: {result.detail}"
    assert result.ended_ms - result.started_ms == 2000


def test_who_is_to_end_begins_nothing() -> None:
    with pytest.raises(Stop) as stop:
        of(Applier(ends=True), []).go_on()
    assert stop.value.code == "shutdown"


def test_a_forged_order_goes_no_further() -> None:
    asked = order(replace(make_transaction([ACTION]), digest="0" * 64))
    with pytest.raises(Stop, match="digest"):
        of(Applier(), [], asked).untampered()


class Full:
    """Where the disk is full."""

    def allow(self, versions: Iterable[UpdateRef]) -> None:
        raise OSError(28, "No space left on device")

    def forbid(self, versions: Iterable[UpdateRef]) -> None: ...


def test_what_is_taken_back_is_written_down_first_or_nothing_begins() -> None:
    with pytest.raises(Stop) as stop:
        of(Applier(), []).forbid(Full(), "the list")
    assert (stop.value.code, stop.value.reason) == ("no_space", "the list cannot be written: No space left on device.")


@pytest.mark.parametrize(
    ("did", "problems", "wrong", "changes", "code"),
    [
        ("", ("p: half-installed",), (), (CHANGE,), "interrupted_broken"),
        ("", (), (), (CHANGE,), "interrupted_complete"),
        (" It was repaired.", (), (), (CHANGE,), "interrupted_repaired"),
        ("", (), ("p should be 2",), (), "interrupted_unchanged"),
        ("", (), ("p should be 2",), (CHANGE,), "interrupted_partial"),
    ],
)
def test_a_lost_run_is_judged_by_the_state_of_the_packages(
    did: str, problems: tuple[str, ...], wrong: tuple[str, ...], changes: tuple[PackageChange, ...], code: str
) -> None:
    found = told(did, problems, wrong, changes)
    assert found[0] == code
    assert found[1].startswith(f"The run was lost.{did} ")


def test_whoever_still_works_after_a_lost_run_is_waited_for_and_named() -> None:
    applier, said = Applier(), list[str]()
    asked = order(make_transaction([ACTION]), Bounds(lock_wait_s=1, run_s_max=3))
    assert still_running(applier.clock, applier.pause, asked, said.append, Held) == "somebody (pid 7)"
    assert applier.clock.monotonic_s() >= 3
    assert len(said) == 1
    assert still_running(applier.clock, applier.pause, asked, said.append, lambda: None) == ""
