"""The contract's world of Homebrew. *Not run on the real system*: a stand-in says what brew is documented to say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import brewprefix

from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.model import Provider


class Brew:
    """Formulae p, q …; what one needs comes along with it."""

    foretells_way_back = False

    def __init__(self, box: brewprefix.Endpoint) -> None:
        self.box = box
        self.provider: Provider = box.provider

    def v(self, version: str, name: str = "p") -> str:
        return version

    def bare(self, version: str) -> str:
        return version

    def name(self, name: str) -> str:
        return f"{name}:brew"

    def own(self, name: str) -> str:
        return name

    def plain(self, name: str) -> str:
        return name.partition(":")[0]

    def publish(self, *versions: Version) -> None:
        for v in versions:
            self.box.publish(v.name, v.version, needs=[n.name for n in v.needs])

    def install(self, *names: str) -> None:
        self.box.install(*names)

    def hold(self, name: str) -> None:
        self.box.pin(name)

    def cut_network(self) -> None:
        self.box.flag("offline")

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        return self.box.has(name)


@contextmanager
def brew(_: Path) -> Iterator[Brew]:
    with brewprefix.endpoint() as box:
        yield Brew(box)
