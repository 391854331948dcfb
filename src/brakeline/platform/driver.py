"""Drives reconcilers: functions without input that bring the world to the state that was asked for.

The rule for whoever writes one: it takes *no input* (it reads what is wanted and what is, itself), so it can be run
periodically, on demand, twice, late, or beside another process, and comes to the same end. It returns one line that
says what it did or why it did nothing. It does not retry: the next run is the retry. A message on the bus only
kicks it; if the message is lost, the period brings it to work all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from prometheus_client import Counter

from brakeline.core.clock import Clock
from brakeline.platform.observe import REGISTRY, logger

RUNS = Counter("brakeline_reconciler_runs", "Runs of reconcilers", ["name", "outcome"], registry=REGISTRY)


@dataclass(frozen=True, slots=True)
class LastRun:
    """What the latest run of a reconciler came to."""

    at_ms: int
    report: str
    failed: bool


class Reconciler:
    """Runs `reconcile` every `interval_s` seconds, and soon after each `kick()`.

    Kicks while it runs lead to one more run, not to many. An error is logged and shown in `last`; the loop goes on.
    """

    def __init__(self, name: str, reconcile: Callable[[], Awaitable[str]], interval_s: float, clock: Clock) -> None:
        self.name = name
        self.last: LastRun | None = None
        self._reconcile = reconcile
        self._interval_s = interval_s
        self._clock = clock
        self._kicked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def kick(self) -> None:
        """Ask for a run now."""
        self._kicked.set()

    async def run_once(self) -> LastRun:
        """One run, with its outcome as a value."""
        try:
            report, failed = await self._reconcile(), False
        except Exception as e:  # noqa: BLE001 - outermost loop: one bad run must not end all later ones
            logger.exception("reconciler-failed", name=self.name)
            report, failed = f"failed: {e}", True
        RUNS.labels(self.name, "failed" if failed else "done").inc()
        self.last = LastRun(self._clock.now_ms(), report, failed)
        return self.last

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._kicked.clear()
            await self.run_once()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._kicked.wait(), self._interval_s)

    def start(self) -> None:
        """Run in a task of the current loop."""
        self._task = asyncio.create_task(self.run(), name=f"reconciler {self.name}")

    async def stop(self) -> None:
        """End the task; a run in progress is cancelled (the next start comes to the same end)."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


class Turns:
    """For a reconciler that sees to one after another: what fails keeps no other from its turn, and is told last."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._wrong: list[Exception] = []

    @contextlib.contextmanager
    def turn(self, **whose: str) -> Iterator[None]:
        """What is done inside is one turn."""
        try:
            yield
        except Exception as e:  # noqa: BLE001 - `end` raises it
            logger.warning("turn-failed", name=self._name, reason=str(e), error=type(e).__name__, **whose)
            self._wrong.append(e)

    def end(self) -> None:
        """Raises what went wrong first."""
        if self._wrong:
            raise self._wrong[0]
