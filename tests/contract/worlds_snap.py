"""The contract's world of snapd, a stand-in for it: *not run on the real system*. Version 1 is revision 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import snapdstandin

from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.model import Provider


class Snap:
    """Snaps p, q …"""

    foretells_way_back = True

    def __init__(self, box: snapdstandin.Endpoint) -> None:
        self.box = box
        self.provider: Provider = box.provider
        self.first: dict[str, str] = {}

    def v(self, version: str, name: str = "p") -> str:
        return f"{version}+{version}"

    def bare(self, version: str) -> str:
        return version.partition("+")[0]

    def name(self, name: str) -> str:
        return f"{name}:snap"

    def own(self, name: str) -> str:
        return name

    def plain(self, name: str) -> str:
        return name.partition(":")[0]

    def publish(self, *versions: Version) -> None:
        for v in versions:
            self.first.setdefault(v.name, v.version)
            self.box.world.store[v.name] = (v.version, v.version)

    def install(self, *names: str) -> None:
        for name in names:
            self.box.install(name, self.first[name], self.first[name])

    def hold(self, name: str) -> None:
        self.box.world.hold[name] = "2315-01-01T00:00:00Z"

    def cut_network(self) -> None:
        self.box.world.offline = True

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        return self.box.world.active.get(name, "")


@contextmanager
def snap(_: Path) -> Iterator[Snap]:
    with snapdstandin.endpoint() as box:
        yield Snap(box)
