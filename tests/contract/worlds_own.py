"""An endpoint with own packages, for the contract's tests. Beside it: `worlds`, `worlds_beside`.

A version of the test's words is that of a package's author; the full one, which `v` finds, is a digest of all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.aptroot import order
from tests.ownpackages import Endpoint, package, script, signed

from brakeline.agent.providers.fake import Version
from brakeline.agent.providers.model import Bounds, Planned, Provider, UpdateRef
from brakeline.protocol.software import Document


class Own:
    foretells_way_back = True

    def __init__(self, work: Path) -> None:
        self.endpoint = Endpoint(work)
        self.provider: Provider = self.endpoint.provider
        self.made: dict[tuple[str, str], Document] = {}

    def v(self, version: str, name: str = "p") -> str:
        """The full one; of a version that nobody has published, one of its form."""
        found = self.made.get((name, version))
        return found.version if found else f"{version}+{'0' * 12}"

    def bare(self, version: str) -> str:
        return version.partition("+")[0]

    def name(self, name: str) -> str:
        return name

    own = plain = name

    def publish(self, *versions: Version) -> None:
        for v in versions:
            made = package(v.name, v.version)
            if v.script_fails:
                made["post"] = script("exit 1")
            self.made[v.name, v.version] = self.endpoint.publish(signed(made))

    def install(self, *names: str) -> None:
        for number, name in enumerate(names):
            full = next(d.version for (n, _), d in self.made.items() if n == name)
            plan = self.provider.plan((UpdateRef(name, full),), Bounds())
            assert isinstance(plan, Planned), plan
            first = replace(order(plan.transaction, number=100 + number), rollout_id=f"ro_first_{name}")
            self.provider.apply(first, [].append)

    def hold(self, name: str) -> None:
        self.endpoint.hold(name)

    def cut_network(self) -> None:
        raise AssertionError("declared as not offered")

    def upgrades_itself(self) -> None:
        raise AssertionError("declared as not offered")

    def really_has(self, name: str) -> str:
        return self.endpoint.has(name)


@contextmanager
def own(work: Path) -> Iterator[Own]:
    yield Own(work)
