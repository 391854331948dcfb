"""What own packages cost an endpoint: CPU-seconds of a look, and what exactness adds to a script.

A look = reading content, detecting, asking for the authors of whatever waits; PACKAGES packages of two signatures each,
all of them installed in an older version (the worst: each waits). Beside it, a script alone, and the same script
brought by plan, prepare and apply, with its way back. Real scripts below a directory; best of ROUNDS; `--json FILE`.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.aptroot import order
from tests.ownpackages import ANN, BOB, Endpoint, package, signed

from bench._proc import report
from brakeline.agent.providers.model import Bounds, Planned
from brakeline.protocol.messages import UpdateRef
from brakeline.trust import ed25519

PACKAGES, ROUNDS = 100, 3


def cpu_s() -> float:
    """Of this process, and of the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def best(what: Callable[[], object]) -> float:
    """CPU-seconds of the cheapest of some rounds."""
    costs = []
    for _ in range(ROUNDS):
        began = cpu_s()
        what()
        costs.append(cpu_s() - began)
    return min(costs)


def waiting(endpoint: Endpoint) -> None:
    """PACKAGES packages, each here in version 1 and in content in version 2."""
    for number in range(PACKAGES):
        name = f"p{number}"
        endpoint.publish(signed(package(name, "2"), ANN, BOB))
        (endpoint.root / f"opt/{name}").mkdir(parents=True)
        (endpoint.root / f"opt/{name}/VERSION").write_text("version=1\n")


def brought(endpoint: Endpoint, number: int) -> None:
    """One package from plan to verified."""
    document = endpoint.publish(signed(package("tool", str(number)), ANN, BOB))
    plan = endpoint.provider.plan((UpdateRef("tool:own", document.version),), Bounds())
    assert isinstance(plan, Planned), plan
    assert endpoint.provider.prepare(plan.transaction) is None
    told = replace(order(plan.transaction, number=number), rollout_id=f"ro_{number}")
    assert endpoint.in_unit.apply(told, lambda _: None).outcome.value == "installed"
    assert endpoint.in_unit.verify(plan.transaction) == ()


def bare(endpoint: Endpoint) -> None:
    text = signed(package("alone")).software.install.text
    environment = {"BRAKELINE_VERSION": "1"}
    assert endpoint.runner.job("/bin/sh", "-c", text, timeout_s=60, environment=environment).rc == 0


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        endpoint = Endpoint(Path(place))
        endpoint.believe({n: ed25519.public_key(s).hex() for n, s in (("ann", ANN), ("bob", BOB))})
        numbers = iter(range(1, 100))
        script = best(lambda: bare(endpoint))
        whole = best(lambda: brought(endpoint, next(numbers)))
        waiting(endpoint)
        look = best(endpoint.provider.survey)
    report(
        [
            (f"a look at {PACKAGES} packages that all wait, CPU-s", round(look, 3), ""),
            ("the same for one package, CPU-ms", round(look / PACKAGES * 1000, 2), ""),
            ("a script alone under the guard, CPU-s", round(script, 3), ""),
            ("the same from plan to verified, over it", round(whole / script, 2), ""),
        ],
        sys.argv[1:],
    )


if __name__ == "__main__":
    main()
