"""The endpoint side that comes with this server: published as releases, and packed as the kit for new machines.

Invariants: what stands in the register is never replaced: other source under a known version gets a version of its
own. Publishing makes nobody run anything. A new machine begins with a release that a rollout has completed, so that
enrolment is no way around the brake; only where none ever did, with the first one. Builds run in a process of their
own: nothing of them stays in the server's memory. Served by `server.install`, put in place by packaging/agent/enrol.sh.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import sys
import tarfile
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import brakeline
from brakeline.core.errors import BrakelineError, Unavailable
from brakeline.platform.observe import logger
from brakeline.releases.bundles import plain_tar
from brakeline.releases.model import Release
from brakeline.releases.service import ReleasesService
from brakeline.tenancy.model import Principal

SHIPPED: Final = ("agent", "launcher")
NOTES: Final = "came with this server"
STUB: Final = Path(brakeline.__file__).parent / "launcher" / "stub.py"


@dataclass(frozen=True, slots=True)
class Kit:
    """Everything of ours that a new machine needs, as one plain tar: stub.py, launcher.pyz, agent.tar, root.json."""

    data: bytes
    sha256: str


def seed_of(releases: Iterable[Release], completed: Collection[str]) -> Release | None:
    """The agent that a new machine begins with: the newest that a rollout has completed, else the first. Pure."""
    there = sorted((r for r in releases if r.product == "agent" and r.state == "published"), key=lambda r: r.sequence)
    proven = [r for r in there if r.release_id in completed]
    return proven[-1] if proven else next(iter(there), None)


async def build(product: str, version: str, sequence: int) -> bytes:
    """The bundle of this very source. Raises `Unavailable`."""
    command = (sys.executable, "-m", "brakeline.releases.build", product, version, str(sequence))
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    data, said = await process.communicate()
    if process.returncode:
        raise Unavailable(f"the {product} that comes with this server cannot be built: {said.decode()[-300:]}")
    return data


class Shipping:
    """Publishes what came with this server, and packs the kit. `publisher`: in whose name, None = nobody is there yet;
    `completed`: ids of the releases that a rollout has completed."""

    def __init__(
        self, releases: ReleasesService, publisher: Callable[[], Awaitable[Principal | None]],
        completed: Callable[[], Collection[str]],
    ) -> None:  # fmt: skip
        self._releases, self._publisher, self._completed = releases, publisher, completed
        self._lock = asyncio.Lock()
        self._built: dict[str, bytes] = {}  # product -> bundle of this source
        self._report = ""  # of the publication, once it is done
        self._kit: tuple[tuple[str, str], Kit] | None = None

    async def reconcile(self) -> str:
        """Publish what is not yet; says what it did. Where the keys are offline, their holders publish."""
        async with self._lock:
            if not self._report:
                who = await self._publisher()
                if who is None:
                    return "there is no organisation yet"
                try:
                    self._report = "; ".join([await self._publish(product, who) for product in SHIPPED])
                except BrakelineError as e:
                    logger.warning("shipped-release-not-published", reason=str(e))
                    return str(e)
            return self._report

    async def _publish(self, product: str, who: Principal) -> str:
        version, ours = brakeline.__version__, {r.version: r for r in self._releases.known() if r.product == product}
        following = max((r.sequence for r in ours.values()), default=0) + 1
        there = ours.get(version)
        bundle = await build(product, version, there.sequence if there else following)
        self._built[product] = bundle
        sha256 = hashlib.sha256(bundle).hexdigest()
        if there is not None:
            if there.sha256 == sha256:
                return f"{product} {version} is published"
            version = f"{version}+{sha256[:8]}"  # other source than what is known under this version
            if version in ours:
                return f"{product} {version} is published"
            bundle = await build(product, version, following)
        made = await self._releases.publish(who, bundle, notes=NOTES)
        return f"published {product} {made.release_id}"

    async def kit(self) -> Kit:
        """What a new machine fetches, for the root and the seed that count now. Raises `Unavailable`."""
        await self.reconcile()
        async with self._lock:
            seed, root = seed_of(self._releases.known(), self._completed()), self._releases.root_json()
            at = (seed.sha256 if seed else "", root)
            if self._kit is None or self._kit[0] != at:
                self._kit = (at, await self._pack(seed, root))
            return self._kit[1]

    async def _pack(self, seed: Release | None, root: str) -> Kit:
        path = self._releases.target(seed.sha256) if seed else None
        agent = path.read_bytes() if path else await self._bundle("agent")
        launcher = _member(await self._bundle("launcher"), "launcher.pyz")
        parts = {"stub.py": STUB.read_bytes(), "launcher.pyz": launcher, "agent.tar": agent, "root.json": root.encode()}
        data = plain_tar(parts)
        return Kit(data, hashlib.sha256(data).hexdigest())

    async def _bundle(self, product: str) -> bytes:
        if product not in self._built:
            self._built[product] = await build(product, brakeline.__version__, 0)
        return self._built[product]


def _member(bundle: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(bundle)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()
