"""The contract's world of Apple's softwareupdate, a stand-in for it: *not run on the real system*."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.macstandin import Mac, mac

from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.model import Provider


class SoftwareUpdate:
    """Titles p, q …; what is held is what device management defers."""

    foretells_way_back = False

    def __init__(self, box: Mac) -> None:
        self.box = box
        self.provider: Provider = box.provider
        self.first: dict[str, str] = {}

    def v(self, version: str, name: str = "p") -> str:
        return version

    def bare(self, version: str) -> str:
        return version

    def name(self, name: str) -> str:
        return name

    def own(self, name: str) -> str:
        return name

    def plain(self, name: str) -> str:
        return name

    def publish(self, *versions: Version) -> None:
        for v in versions:
            self.first.setdefault(v.name, v.version)
            self.box.publish(v.name, v.version)

    def install(self, *names: str) -> None:
        self.box.change(history=[*self.box.state()["history"], *([n, self.first[n]] for n in names)])

    def hold(self, name: str) -> None:
        self.box.publish(name, "2", Deferred="YES")
        self.provider.refresh()

    def cut_network(self) -> None:
        self.box.change(offline=True)

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        return next((version for title, version in reversed(self.box.state()["history"]) if title == name), "")


@contextmanager
def softwareupdate(work: Path) -> Iterator[SoftwareUpdate]:
    yield SoftwareUpdate(mac(work / "mac"))
