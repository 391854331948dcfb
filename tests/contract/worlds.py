"""What a test of the contract may do to an endpoint, whatever its provider. Beside the system's: `worlds_beside`.

Versions are the test's words ("1", "2"): rpm and pacman have a release behind it, which `v` adds. dnf, zypper and
pacman manage roots of packages built here: *real manager, synthetic distribution*.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol

from tests import archrepo, rpmrepo, zypperroot
from tests.aptrepo import Built, Repository
from tests.aptroot import Clone, clone
from tests.contract.worlds_beside import flatpak, npm, pip
from tests.contract.worlds_brew import brew
from tests.contract.worlds_firmware import fwupd
from tests.contract.worlds_mac import softwareupdate
from tests.contract.worlds_own import own
from tests.contract.worlds_snap import snap
from tests.contract.worlds_windows import msi, windows, winget
from tests.pacroot import Arch, arch

from brakeline.agent.providers.fake import FakeProvider, Version
from brakeline.agent.providers.model import Provider
from brakeline.core.clock import ManualClock

RELEASE: Final = "-1"


class World(Protocol):
    """An endpoint that begins without packages, and one repository."""

    provider: Provider

    @property
    def foretells_way_back(self) -> bool: ...
    def v(self, version: str, name: str = "p") -> str: ...
    def bare(self, version: str) -> str: ...
    def name(self, name: str) -> str:
        """As an order calls it."""
        ...

    def own(self, name: str) -> str:
        """As the manager calls it; `plain` is the way back from either."""
        ...

    def plain(self, name: str) -> str: ...
    def publish(self, *versions: Version) -> None: ...
    def install(self, *names: str) -> None: ...
    def hold(self, name: str) -> None: ...
    def cut_network(self) -> None: ...
    def upgrades_itself(self) -> None:
        """The endpoint's own manager takes everything that is newer, as a nightly run of its owner does."""
        ...

    def really_has(self, name: str) -> str:
        """The version that the manager itself has recorded, "" = none."""
        ...


class Native:
    """A system's manager: it and everybody else call a package the same."""

    release = ""
    foretells_way_back = True  # `plan` says already whether there will be one

    def v(self, version: str, name: str = "p") -> str:
        return version + self.release

    def bare(self, version: str) -> str:
        return version.removesuffix(self.release)

    def name(self, name: str) -> str:
        return name

    own = plain = name


class Memory(Native):
    def __init__(self) -> None:
        self.provider = FakeProvider(ManualClock())

    def publish(self, *versions: Version) -> None:
        self.provider.publish(*versions)

    def install(self, *names: str) -> None:
        for v in self.provider.published:
            if v.name in names:
                self.provider.have(v.name, v.version)

    def hold(self, name: str) -> None:
        self.provider.hold(name)

    def cut_network(self) -> None:
        self.provider.network = False

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        found = self.provider.packages.get(f"{name}:all")
        return found.version if found else ""


class Apt(Native):
    def __init__(self, endpoint: Clone, repository: Repository) -> None:
        self.endpoint, self.repository, self.provider = endpoint, repository, endpoint.provider
        repository.index()
        endpoint.use(repository)

    def publish(self, *versions: Version) -> None:
        self.repository.publish(*(self._built(v) for v in versions))

    def _built(self, v: Version) -> Built:
        return Built(
            v.name,
            v.version,
            depends=", ".join(f"{n.name} (>= {n.version})" for n in v.needs),
            conflicts=", ".join(v.breaks),
            phased=0 if v.phased_out else None,
            scripts={"postinst": "exit 1"} if v.script_fails else {},
        )

    def install(self, *names: str) -> None:
        self.endpoint.sh(f"apt-get -q -eany update; apt-get -qy install {' '.join(names)}")

    def hold(self, name: str) -> None:
        self.endpoint.sh(f"apt-mark hold {name}")

    def cut_network(self) -> None:
        self.repository.stop()

    def upgrades_itself(self) -> None:
        self.endpoint.sh("apt-get -qy upgrade")

    def really_has(self, name: str) -> str:
        state, _, version = self.endpoint.version(name).partition(" ")
        assert state in ("", "ii", "hi"), f"{name} is {state}"
        return version


class Dnf(Native):
    release = RELEASE

    def __init__(self, work: Path) -> None:
        rpmrepo.needed()
        self.repository = rpmrepo.RpmRepository(work)
        self.repository.publish(self.repository.shell())
        self.root = rpmrepo.Root(work, self.repository)
        self.root.install(self.repository.shell())
        self.built: dict[str, rpmrepo.Rpm] = {}
        self.provider: Provider = self.root.provider

    def publish(self, *versions: Version) -> None:
        made = [self._built(v) for v in versions]
        self.built |= {p.name: p for p in made if p.name not in self.built}
        self.repository.publish(*made)

    def _built(self, v: Version) -> rpmrepo.Rpm:
        head = (
            "Vendor: Test",
            *(f"Requires: {n.name} >= {n.version}" for n in v.needs),
            *(f"Conflicts: {n}" for n in v.breaks),
        )
        return rpmrepo.Rpm(v.name, v.version, head=head, scripts={"post": "exit 1"} if v.script_fails else {})

    def install(self, *names: str) -> None:
        self.root.install(*(self.built[n] for n in names))

    def hold(self, name: str) -> None:
        place = self.root.path / "etc/dnf/plugins"
        place.mkdir(parents=True, exist_ok=True)
        (place / "versionlock.list").write_text(f"{name}-0:1-1.*\n")

    def cut_network(self) -> None:
        self.repository.stop()

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        return " ".join(self.root.has(name)).removesuffix(RELEASE)


class Zypper(Native):
    release = RELEASE

    def __init__(self, work: Path) -> None:
        self.root = zypperroot.make_root(work / "root")
        self.repository = zypperroot.RpmRepository(work)
        self.root.use(self.repository)
        self.provider: Provider = self.root.provider

    def publish(self, *versions: Version) -> None:
        self.repository.publish(*(self._built(v) for v in versions))

    def _built(self, v: Version) -> zypperroot.Rpm:
        requires = tuple(f"{n.name} >= {n.version}" for n in v.needs)
        scripts = {"post": "exit 1"} if v.script_fails else {}
        return zypperroot.Rpm(v.name, v.version, requires, conflicts=v.breaks, scripts=scripts)

    def install(self, *names: str) -> None:
        code, text = self.root.zypper("install", "--no-recommends", *names)
        assert code == 0, text

    def hold(self, name: str) -> None:
        self.root.lock(name)

    def cut_network(self) -> None:
        self.repository.stop()

    def upgrades_itself(self) -> None:
        self.root.zypper("update", "--no-recommends")

    def really_has(self, name: str) -> str:
        return self.root.version(name).removesuffix(RELEASE)


class Pacman(Native):
    release = RELEASE

    def __init__(self, endpoint: Arch) -> None:
        self.endpoint, self.provider = endpoint, endpoint.provider

    def publish(self, *versions: Version) -> None:
        self.endpoint.repository.publish(*(self._built(v) for v in versions))

    def _built(self, v: Version) -> archrepo.Built:
        needs = tuple(f"{n.name}>={n.version}" for n in v.needs)
        script = "post_upgrade() {\n false\n}\n" if v.script_fails else ""
        return archrepo.Built(v.name, v.version + RELEASE, depends=needs, conflicts=v.breaks, script=script)

    def install(self, *names: str) -> None:
        self.endpoint.sh(f"pacman -Sy --noconfirm {' '.join(names)}")
        self.endpoint.refresh()

    def hold(self, name: str) -> None:
        self.endpoint.configure(f"SigLevel = Never\nIgnorePkg = {name}")

    def cut_network(self) -> None:
        self.endpoint.repository.stop()

    def upgrades_itself(self) -> None:
        self.endpoint.machine.query("pacman", "-Syu", "--noconfirm")

    def really_has(self, name: str) -> str:
        return self.endpoint.version(name).removesuffix(RELEASE)


@contextmanager
def memory(_: Path) -> Iterator[World]:
    yield Memory()


@contextmanager
def apt(work: Path) -> Iterator[World]:
    repository = Repository(work)
    with clone() as endpoint:
        endpoint.sh("echo 11111111111111111111111111111111 > /etc/machine-id")
        try:
            yield Apt(endpoint, repository)
        finally:
            repository.stop()


@contextmanager
def dnf(work: Path) -> Iterator[World]:
    made = Dnf(work)
    try:
        yield made
    finally:
        made.repository.stop()


@contextmanager
def zypper(work: Path) -> Iterator[World]:
    made = Zypper(work)
    try:
        yield made
    finally:
        made.repository.stop()


@contextmanager
def pacman(_: Path) -> Iterator[World]:
    with arch() as endpoint:
        yield Pacman(endpoint)


WORLDS: Final[dict[str, Callable[[Path], object]]] = {
    "memory": memory, "apt": apt, "dnf": dnf, "zypper": zypper, "pacman": pacman, "pip": pip, "npm": npm,
    "flatpak": flatpak, "snap": snap, "brew": brew, "fwupd": fwupd, "own": own, "softwareupdate": softwareupdate,
    "windows": windows, "msi": msi, "winget": winget,
}  # fmt: skip
