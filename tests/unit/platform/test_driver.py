"""Reconcilers: run on demand, run again after an error, never many runs for many kicks."""

from __future__ import annotations

import asyncio

from brakeline.core.clock import ManualClock
from brakeline.platform.driver import Reconciler

NEVER_S = 10_000.0


async def test_it_runs_at_start_and_once_more_for_many_kicks(clock: ManualClock) -> None:
    runs = 0
    finish = asyncio.Event()
    began = asyncio.Event()

    async def work() -> str:
        nonlocal runs
        runs += 1
        began.set()
        await finish.wait()
        return f"run {runs}"

    reconciler = Reconciler("t", work, NEVER_S, clock)
    reconciler.start()
    await began.wait()
    for _ in range(5):
        reconciler.kick()
    began.clear()
    finish.set()
    await began.wait()
    await asyncio.sleep(0)
    assert runs == 2
    await reconciler.stop()
    assert reconciler.last is not None
    assert reconciler.last.at_ms == clock.now_ms()


async def test_an_error_is_reported_and_the_next_run_happens(clock: ManualClock) -> None:
    done = asyncio.Event()
    answers = iter([ValueError("odd"), "fine"])

    async def work() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            reconciler.kick()
            raise answer
        done.set()
        return answer

    reconciler = Reconciler("t", work, NEVER_S, clock)
    assert (await Reconciler("u", _fails, NEVER_S, clock).run_once()).report == "failed: no"
    reconciler.start()
    await asyncio.wait_for(done.wait(), 5)
    await reconciler.stop()
    assert reconciler.last is not None
    assert (reconciler.last.report, reconciler.last.failed) == ("fine", False)


async def _fails() -> str:
    raise ValueError("no")


async def test_the_period_alone_brings_it_to_run(clock: ManualClock) -> None:
    twice = asyncio.Event()
    runs = 0

    async def work() -> str:
        nonlocal runs
        runs += 1
        if runs == 2:
            twice.set()
        return ""

    reconciler = Reconciler("t", work, 0.0, clock)
    reconciler.start()
    await asyncio.wait_for(twice.wait(), 5)
    await reconciler.stop()
