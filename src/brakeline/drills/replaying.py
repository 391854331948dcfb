"""Incidents replayed for the console: in a process of its own at the lowest priority, one at a time, and kept.

A replay says nothing about anybody's endpoints, so its result is the same for every organisation. Bounded: at most
`SEEDS_MAX` histories, `LONGEST_S` seconds, `KEPT_MAX` results. As a program (`python -m brakeline.drills.replaying
ENDPOINTS SEEDS FIRST`) it prints the answer of `sim.replay` as JSON, and which incident it is at to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from brakeline.core.errors import Conflict, Invalid
from brakeline.platform.observe import logger
from brakeline.sim import incidents
from brakeline.sim.replay import ENDPOINTS_MAX, Request, replay

SEEDS_MAX: Final = 5
ENDPOINTS_MIN: Final = 100
LONGEST_S: Final = 3_600.0
KEPT_MAX: Final = 8
BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    endpoints: int
    seeds: int


class Replays:
    """See the module."""

    def __init__(self, first: int = 0) -> None:
        """`first`: only so many incidents of the file; 0 = all."""
        self._first = first
        self._kept: dict[Key, dict[str, Any]] = {}
        self._task: asyncio.Task[None] | None = None
        self.running: Key | None = None
        self.at = ""  # the incident in progress
        self.failed = ""  # why the latest one came to nothing

    def kept(self) -> dict[str, Any] | None:
        """The newest answer; None = there is none yet."""
        return next(reversed(self._kept.values()), None) if self._kept else None

    def begin(self, endpoints: int, seeds: int) -> None:
        """Start one, unless its answer is here already. `Conflict` while another one runs."""
        if not ENDPOINTS_MIN <= endpoints <= ENDPOINTS_MAX or not 1 <= seeds <= SEEDS_MAX:
            raise Invalid(
                f"{endpoints:,} endpoints and {seeds} histories: {ENDPOINTS_MIN} to {ENDPOINTS_MAX:,}, and 1 to "
                f"{SEEDS_MAX} here; `brakeline drill replay` takes more"
            )
        key = Key(endpoints, seeds)
        if known := self._kept.pop(key, None):
            self._kept[key] = known
            return
        if self.running is not None:
            raise Conflict("a replay runs already; look again in a few minutes")
        self.running, self.at, self.failed = key, "", ""
        self._task = asyncio.create_task(self._run(key), name="replay of incidents")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, key: Key) -> None:
        process = None
        try:
            command = (sys.executable, "-m", __name__, str(key.endpoints), str(key.seeds), str(self._first))
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE, limit=BYTES_MAX,
            )  # fmt: skip
            async with asyncio.timeout(LONGEST_S):
                told, _ = await asyncio.gather(_all(process.stdout), self._follow(process.stderr))
                code = await process.wait()
            if code:
                raise OSError(f"it ended with {code}: {self.at[:200]}")
            self._keep(key, json.loads(told))
        except (OSError, TimeoutError, ValueError) as e:
            self.failed = f"the replay came to nothing: {e or 'it took too long'}"
            logger.warning("replay-failed", reason=self.failed)
        finally:
            if process is not None and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            self.running = None

    async def _follow(self, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while line := await stream.readline():
            self.at = line.decode("utf-8", "replace").strip()[:200] or self.at

    def _keep(self, key: Key, answer: dict[str, Any]) -> None:
        while len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = answer


async def _all(stream: asyncio.StreamReader | None) -> bytes:
    assert stream is not None
    return await stream.read()


def text() -> str:
    """The file of incidents that ships with this program."""
    return (resources.files("brakeline.drills") / "incidents.json").read_text(encoding="utf-8")


def main(words: list[str]) -> None:
    """One replay, as a program."""
    os.nice(19)
    endpoints, seeds, first = map(int, words)
    request, found = Request(endpoints, seeds), incidents.parse(text())
    answer = replay(found[: first or len(found)], request, lambda name: print(name, file=sys.stderr, flush=True))
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
