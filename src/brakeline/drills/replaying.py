"""Incidents replayed for the console: in a process of its own at the lowest priority, one at a time, and kept.

A replay says nothing about anybody's endpoints, so its result is the same for every organisation; one under the shape
and plan of an organisation (`Own`) is that organisation's alone. Bounded: at most
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
from brakeline.rollout import plans
from brakeline.sim import incidents
from brakeline.sim import own as own_shape
from brakeline.sim.replay import ENDPOINTS_MAX, Request, replay

SEEDS_MAX: Final = 5
ENDPOINTS_MIN: Final = 100
LONGEST_S: Final = 3_600.0
KEPT_MAX: Final = 8
BYTES_MAX: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Own:
    """The shape of an organisation's fleet and the plan that it asks about (None = the careful one), as JSON."""

    tenant_id: str
    text: str  # {"shape": …, "plan": …}


@dataclass(frozen=True, slots=True)
class Key:
    endpoints: int
    seeds: int
    own: Own | None = None


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
        self._failed_of = ""

    def kept(self, tenant_id: str = "") -> dict[str, Any] | None:
        """The newest answer; None = there is none yet. With `tenant_id`: under that organisation's own shape."""
        return next((a for k, a in reversed(self._kept.items()) if _whose(k) == tenant_id), None)

    def running_for(self, tenant_id: str = "") -> bool:
        """Whether what runs now is theirs."""
        return self.running is not None and _whose(self.running) == tenant_id

    def why_failed(self, tenant_id: str = "") -> str:
        """Why their latest one came to nothing; "" = it did not."""
        return self.failed if self._failed_of == tenant_id else ""

    def begin(self, endpoints: int, seeds: int, own: Own | None = None) -> None:
        """Start one, unless its answer is here already. `Conflict` while another one runs."""
        least = ENDPOINTS_MIN if own is None else 1
        if not least <= endpoints <= ENDPOINTS_MAX or not 1 <= seeds <= SEEDS_MAX:
            raise Invalid(
                f"{endpoints:,} endpoints and {seeds} histories: {ENDPOINTS_MIN} to {ENDPOINTS_MAX:,}, and 1 to "
                f"{SEEDS_MAX} here; `brakeline drill replay` takes more"
            )
        key = Key(endpoints, seeds, own)
        if known := self._kept.pop(key, None):
            self._kept[key] = known
            return
        if self.running is not None:
            raise Conflict("a replay runs already; look again in a few minutes")
        self.running, self.at, self.failed, self._failed_of = key, "", "", _whose(key)
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
                *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE, limit=BYTES_MAX,
            )  # fmt: skip
            await _given(process.stdin, key.own)
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


def _whose(key: Key) -> str:
    return key.own.tenant_id if key.own is not None else ""


async def _given(stream: asyncio.StreamWriter | None, own: Own | None) -> None:
    """What it has to know beside its arguments; a process that ends before it has read it says why itself."""
    assert stream is not None
    with contextlib.suppress(ConnectionError):
        stream.write(own.text.encode() if own is not None else b"")
        await stream.drain()
    stream.close()


async def _all(stream: asyncio.StreamReader | None) -> bytes:
    assert stream is not None
    return await stream.read()


def text() -> str:
    """The file of incidents that ships with this program."""
    return (resources.files("brakeline.drills") / "incidents.json").read_text(encoding="utf-8")


def request_of(endpoints: int, seeds: int, own: str) -> Request:
    """`own`: as `Own.text`; "" = the assumed fleet and the careful plan."""
    if not own:
        return Request(endpoints, seeds)
    said = json.loads(own)
    policy = plans.parse(said["plan"]) if said["plan"] is not None else None
    return own_shape.request(own_shape.parse(said["shape"]), seeds, policy)


def main(words: list[str]) -> None:
    """One replay, as a program."""
    os.nice(19)
    endpoints, seeds, first = map(int, words)
    request, found = request_of(endpoints, seeds, sys.stdin.read()), incidents.parse(text())
    answer = replay(found[: first or len(found)], request, lambda name: print(name, file=sys.stderr, flush=True))
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
