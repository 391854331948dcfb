"""The contract's worlds of managers beside the system's: pip, npm, flatpak. *Real manager, synthetic packages.*

`name` is what an order calls a package ("p:npm"), `own` what the manager calls it; in flatpak's world what another
package needs is a branch of the runtime.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests import flatpakrepo, npmregistry, pipindex

from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.model import Provider

ZEROS: Final = ".0.0"


class Pip:
    """One environment of `pipx --global`; p, q … are distributions in it."""

    foretells_way_back = False

    def __init__(self, box: pipindex.Tool) -> None:
        self.box = box
        self.provider: Provider = box.provider

    def v(self, version: str, name: str = "p") -> str:
        return version

    def bare(self, version: str) -> str:
        return version

    def name(self, name: str) -> str:
        return f"{name}:{pipindex.LABEL}"

    def own(self, name: str) -> str:
        return name

    def plain(self, name: str) -> str:
        return name.partition(":")[0]

    def publish(self, *versions: Version) -> None:
        for v in versions:
            self.box.index.publish(v.name, v.version, tuple(f"{n.name}>={n.version}" for n in v.needs))

    def install(self, *names: str) -> None:
        self.box.pip("install", *names)

    def hold(self, name: str) -> None:
        place = self.box.root / pipindex.HOME / "pipx_metadata.json"
        place.write_text(json.dumps({"main_package": {"package": name, "pinned": True}}))

    def cut_network(self) -> None:
        self.box.index.stop()

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        return self.box.has(name)


class Npm:
    """Global packages p, q …; what they need lies in their own trees."""

    foretells_way_back = True

    def __init__(self, box: npmregistry.Endpoint) -> None:
        self.box = box
        self.provider: Provider = box.provider

    def v(self, version: str, name: str = "p") -> str:
        return version + ZEROS

    def bare(self, version: str) -> str:
        return version.removesuffix(ZEROS)

    def name(self, name: str) -> str:
        return f"{name}:npm"

    def own(self, name: str) -> str:
        return name

    def plain(self, name: str) -> str:
        return name.partition(":")[0]

    def publish(self, *versions: Version) -> None:
        for v in versions:
            self.box.registry.publish(v.name, self.v(v.version), {n.name: f">={self.v(n.version)}" for n in v.needs})

    def install(self, *names: str) -> None:
        self.box.npm("install", *names)

    def hold(self, name: str) -> None:
        path = self.box.root / "etc/brakeline/npm.hold"
        path.parent.mkdir(parents=True)
        path.write_text(f"{name}\n")

    def cut_network(self) -> None:
        self.box.registry.stop()

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        places = (self.box.modules / name, *self.box.modules.glob(f"*/node_modules/{name}"))
        found = [p / "package.json" for p in places if (p / "package.json").exists()]
        return self.bare(json.loads(found[0].read_text())["version"]) if found else ""


class Flatpak:
    """Applications org.test.p, org.test.q …; a version is the time and the digest of its commit."""

    foretells_way_back = True

    def __init__(self, box: flatpakrepo.Endpoint) -> None:
        self.box = box
        self.provider: Provider = box.provider
        self.commits: dict[tuple[str, str], str] = {}
        self.needed: list[str] = []

    def v(self, version: str, name: str = "p") -> str:
        return self.commits.get((name, version), version)

    def bare(self, version: str) -> str:
        return next((word for (_, word), commit in self.commits.items() if commit == version), version)

    def name(self, name: str) -> str:
        return f"{self.own(name)}:{flatpakrepo.LABEL}"

    def own(self, name: str) -> str:
        return flatpakrepo.RUNTIME if name in self.needed else f"org.test.{name}"

    def plain(self, name: str) -> str:
        bare = name.partition(":")[0]
        return self.needed[-1] if bare == flatpakrepo.RUNTIME and self.needed else bare.removeprefix("org.test.")

    def publish(self, *versions: Version) -> None:
        self.needed += [n.name for v in versions for n in v.needs]
        for v in versions:
            if v.name in self.needed:
                commit = self.box.remote.publish_runtime(v.name, v.version)
            else:
                runtime = v.needs[0].name if v.needs else "1"
                commit = self.box.remote.publish(v.version, runtime, name=self.own(v.name))
            made = f"2026110110{self.box.remote.made:02}00"
            self.commits[(v.name, v.version)] = f"{made}.{commit[:32]}"

    def install(self, *names: str) -> None:
        self.box.flatpak("install", "--system", "-y", "--noninteractive", "example", *map(self.own, names))

    def hold(self, name: str) -> None:
        self.box.flatpak("mask", "--system", self.own(name))

    def cut_network(self) -> None:
        self.box.remote.stop()

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        if name not in self.needed:
            return self.box.has(self.own(name))
        home = self.box.root / f"var/lib/flatpak/runtime/{flatpakrepo.RUNTIME}/{flatpakrepo.ARCH}/{name}"
        version = home / "active/files/version"
        return version.read_text() if version.exists() else ""


@contextmanager
def pip(work: Path) -> Iterator[Pip]:
    index = pipindex.Index(work / "index")
    try:
        with pipindex.without_proxies():
            yield Pip(pipindex.tool(work / "root", pipindex.template(work / "venv"), index))
    finally:
        index.stop()


@contextmanager
def npm(work: Path) -> Iterator[Npm]:
    registry = npmregistry.Registry()
    try:
        with pipindex.without_proxies():
            yield Npm(npmregistry.endpoint(work / "root", registry))
    finally:
        registry.stop()


@contextmanager
def flatpak(work: Path) -> Iterator[Flatpak]:
    remote = flatpakrepo.Remote(work / "remote")
    try:
        with pipindex.without_proxies():
            yield Flatpak(flatpakrepo.endpoint(work / "root", remote))
    finally:
        remote.stop()
