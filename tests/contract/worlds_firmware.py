"""The contract's world of fwupd: p is the test device's webcam, q a module of it. *Real manager, test device.*

A version of the contract's is a small number; the webcam's 1 is its 1.2.2, because that is what the device begins with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import fwupdroot, pipindex

from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.model import Provider


class Fwupd:
    """One machine with two devices."""

    foretells_way_back = True

    def __init__(self, box: fwupdroot.Endpoint) -> None:
        self.box = box
        self.provider: Provider = box.provider

    def v(self, version: str, name: str = "p") -> str:
        return f"1.2.{int(version) + 1}" if name == "p" else version

    def bare(self, version: str) -> str:
        return str(int(version.removeprefix("1.2.")) - 1) if version.startswith("1.2.") else version

    def name(self, name: str) -> str:
        label = fwupdroot.LABELS.get(name, "fwupd-000000000000")
        return f"{self.own(name)}:{label}"

    def own(self, name: str) -> str:
        return fwupdroot.NAMES.get(name, name)

    def plain(self, name: str) -> str:
        bare = name.partition(":")[0]
        return next((short for short, named in fwupdroot.NAMES.items() if named == bare), bare)

    def publish(self, *versions: Version) -> None:
        for v in versions:
            self.box.publish(v.name, self.v(v.version, v.name))

    def install(self, *names: str) -> None:
        """Both devices are there from the beginning, at the contract's version 1."""
        assert set(names) <= set(fwupdroot.NAMES)

    def hold(self, name: str) -> None:
        self.box.machine.path("/etc/brakeline/fwupd.hold").write_text(f"{self.own(name)}\n")

    def cut_network(self) -> None:
        self.box.cut_network()

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        return self.bare(self.box.has(name))


@contextmanager
def fwupd(_: Path) -> Iterator[Fwupd]:
    with pipindex.without_proxies(), fwupdroot.endpoint() as box:
        yield Fwupd(box)
