"""npm's rows of the correctness table. *Real manager, synthetic packages.* Truth is what the endpoint's own Node.js
runs; each function takes a fresh endpoint (`tests.npmregistry.Endpoint`) on which `app` 1.0.0 needs `part` ^1.0.0.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.aptroot import order
from tests.correctness.beside import NpmRecords
from tests.correctness.row import Row
from tests.correctness.standin import Trait, staged
from tests.npmregistry import Endpoint, Registry, endpoint
from tests.pipindex import without_proxies

from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.protocol.messages import Outcome, TransactionResult, UpdateRef, UpdateState

NEEDS = {"part": "^1.0.0"}
OLD, NEW = "1.0.0 part 1.0.0", "1.1.0 part 1.0.0"


def _row(box: Endpoint, situation: str, expected: str, answer: Refused | TransactionResult, code: str) -> Row:
    """Right: the program runs as it must in this situation, and the answer has the code that says so."""
    truth = box.runs()
    said = answer.reason if isinstance(answer, Refused) else answer.detail
    return Row("npm", situation, truth, f"{answer.code}: {said}", truth == expected and answer.code == code)


def asked(box: Endpoint) -> Any:
    """The endpoint, with a peer in the provider's place while one plays."""
    return staged(box, NpmRecords(box))


def plan(box: Endpoint, version: str, name: str = "app:npm", bounds: Bounds | None = None) -> Planned | Refused:
    return asked(box).provider.plan((UpdateRef(name, version),), bounds or Bounds())


def apply(box: Endpoint, version: str, bounds: Bounds | None = None) -> Refused | TransactionResult:
    found = plan(box, version, bounds=bounds)
    return found if isinstance(found, Refused) else box.provider.apply(order(found.transaction, bounds), [].append)


def plain_update(box: Endpoint) -> Row:
    box.registry.publish("app", "1.1.0", NEEDS)
    return _row(box, "plain update", NEW, apply(box, "1.1.0"), "ok")


def dependency_comes_along(box: Endpoint) -> Row:
    box.registry.publish("part", "2.0.0")
    box.registry.publish("app", "2.0.0", {"part": "^2.0.0"})
    return _row(box, "needs a newer dependency", "2.0.0 part 2.0.0", apply(box, "2.0.0"), "ok")


def held(box: Endpoint) -> Row:
    box.registry.publish("app", "1.1.0", NEEDS)
    box.provider.refresh()
    hold = box.root / "etc/brakeline/npm.hold"
    hold.parent.mkdir(parents=True)
    hold.write_text("app  # until the build moves\n")
    assert asked(box).provider.available()[0].state is UpdateState.HELD
    return _row(box, "held by its owner", OLD, apply(box, "1.1.0"), "held")


def other_node_needed(box: Endpoint) -> Row:
    """npm itself warns, installs it all the same, and ends with 0."""
    box.registry.publish("app", "1.1.0", NEEDS, engines={"node": ">=99"})
    answer = apply(box, "1.1.0")
    assert isinstance(answer, Refused)
    assert ">=99" in answer.reason
    return _row(box, "needs another Node.js (kept back)", OLD, answer, "refused")


def peer_conflict(box: Endpoint) -> Row:
    """Where the owner's npm is not strict it warns, and does it."""
    settings = box.root / "usr/local/etc/npmrc"
    settings.write_text(f"{settings.read_text()}strict-peer-deps=true\n")
    box.registry.publish("host", "1.0.0")
    box.registry.publish("host", "2.0.0")
    box.registry.publish("plug", "1.0.0", peerDependencies={"host": "^1.0.0"})
    box.registry.publish("app", "1.1.0", {**NEEDS, "host": "^2.0.0", "plug": "1.0.0"})
    return _row(box, "peers in conflict, npm is strict", OLD, apply(box, "1.1.0"), "refused")


def dependency_missing(box: Endpoint) -> Row:
    box.registry.publish("app", "1.1.0", {"nowhere": "1"})
    return _row(box, "a dependency cannot be had", OLD, apply(box, "1.1.0"), "lists_stale")


def version_gone(box: Endpoint) -> Row:
    box.registry.publish("app", "1.1.0", NEEDS)
    box.provider.refresh()
    box.registry.withdraw("app", "1.1.0")
    return _row(box, "the version was withdrawn", OLD, apply(box, "1.1.0"), "lists_stale")


def no_network(box: Endpoint) -> Row:
    box.registry.publish("app", "1.1.0", NEEDS)
    box.registry.stop()
    answer = asked(box).provider.refresh()
    assert isinstance(answer, Refused)
    return _row(box, "no network", OLD, answer, "no_network")


def disk_too_small(box: Endpoint) -> Row:
    box.registry.publish("app", "1.1.0", NEEDS)
    return _row(box, "disk too small", OLD, apply(box, "1.1.0", Bounds(disk_reserve_bytes=1 << 60)), "no_space")


def downgrade(box: Endpoint) -> Row:
    box.registry.publish("app", "0.9.0", NEEDS)
    return _row(box, "downgrade", OLD, apply(box, "0.9.0"), "refused")


def tampered(box: Endpoint) -> Row:
    path = box.registry.publish("app", "1.1.0", NEEDS)
    box.registry.archives[path] += b"tampered"
    return _row(box, "archive does not fit its digest", OLD, apply(box, "1.1.0"), "hash_mismatch")


def script_fails(box: Endpoint) -> Row:
    box.registry.publish("app", "1.1.0", NEEDS, scripts={"postinstall": "exit 7"})
    answer = apply(box, "1.1.0")
    assert isinstance(answer, TransactionResult)
    assert (answer.outcome, answer.changes) == (Outcome.FAILED, ())
    return _row(box, "postinstall fails", OLD, answer, "maintainer_script_failed")


def moved_on(box: Endpoint) -> Row:
    """A newer part was published between plan and order."""
    box.registry.publish("app", "1.1.0", NEEDS)
    found = plan(box, "1.1.0")
    assert isinstance(found, Planned), found
    box.registry.publish("part", "1.1.0")
    answer = box.provider.apply(order(found.transaction), [].append)
    return _row(box, "registry moved on since the plan", OLD, answer, "changed")


def done_already(box: Endpoint) -> Row:
    """Somebody updated by hand between plan and order: nothing is done a second time, and nothing is claimed."""
    box.registry.publish("app", "1.1.0", NEEDS)
    found = plan(box, "1.1.0")
    assert isinstance(found, Planned), found
    box.npm("install", "app@1.1.0")
    answer = box.provider.apply(order(found.transaction), [].append)
    assert answer.outcome is Outcome.REFUSED
    return _row(box, "updated by hand meanwhile", NEW, answer, "nothing_to_do")


def quarantined(box: Endpoint) -> Row:
    box.registry.publish("app", "1.1.0", {**NEEDS, "bad": "1.0.0"})
    box.registry.publish("bad", "1.0.0")
    bounds = Bounds(without=(UpdateRef("bad", "1.0.0"),))
    return _row(box, "quarantined, as a part of it", OLD, apply(box, "1.1.0", bounds), "quarantined")


def linked(box: Endpoint) -> Row:
    """`npm link`: what runs is a directory of the owner's own."""
    box.registry.publish("app", "1.1.0", NEEDS)
    own = box.root / "home/app"
    own.parent.mkdir()
    (box.modules / "app").rename(own)
    (box.modules / "app").symlink_to(own)
    return _row(box, "a link to the owner's own directory", OLD, apply(box, "1.1.0"), "held")


SITUATIONS: tuple[Callable[[Endpoint], Row], ...] = (
    plain_update, dependency_comes_along, held, other_node_needed, peer_conflict, dependency_missing, version_gone,
    no_network, disk_too_small, downgrade, tampered, script_fails, moved_on, done_already, quarantined, linked,
)  # fmt: skip
MANAGER: Final = "npm"
OURS: Final = "the bound is the policy's of an order: a command of the owner's knows none"
PLANNED: Final = "between a plan and its order: only we have both"
TRAITS: Final = {
    "held": Trait(hidden=True),
    "other_node_needed": Trait(impossible=True),
    "peer_conflict": Trait(impossible=True),
    "dependency_missing": Trait(impossible=True),
    "version_gone": Trait(alone="the registry has nothing newer any more; a version is asked for by orders alone"),
    "disk_too_small": Trait(alone=OURS),
    "downgrade": Trait(alone="an older version is asked for by orders alone"),
    "tampered": Trait(unwell=True),
    "script_fails": Trait(unwell=True),
    "moved_on": Trait(alone=PLANNED),
    "done_already": Trait(alone=PLANNED),
    "quarantined": Trait(alone="the list of what is quarantined is the cell's"),
    "linked": Trait(hidden=True),
}
QUICK: Final = frozenset[str]()  # npm itself is driven by the long set alone


def provoked(work: Path, situation: Callable[[Endpoint], Row]) -> Row:
    """One situation on a fresh endpoint."""
    registry = Registry()
    try:
        with without_proxies():
            return situation(endpoint(work / "root", registry))
    finally:
        registry.stop()
