"""What apt is asked for a plan, and how often: never the same command twice, always again where it would differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from brakeline.agent.providers.apt.disk import Disk
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.marks import automatic_of
from brakeline.agent.providers.apt.plan import arguments, make_transaction, named_versions
from brakeline.agent.providers.apt.planner import Planner
from brakeline.agent.providers.apt.queries import Queries
from brakeline.agent.providers.apt.runner import Ran
from brakeline.agent.providers.model import Bounds, Refused
from brakeline.protocol.messages import Action, ActionKind

ONE = "Inst one [1] (2 local [amd64])\nConf one (2 local [amd64])\n"
WITH_TWO = ONE + "Inst two [1] (2 local [amd64])\nConf two (2 local [amd64])\n"
HERE = tuple(Installed(n, "amd64", "1", n, "1", "ii") for n in ("one", "two"))


class Endpoint:
    """Answers each simulation with the next of `texts`, the last for ever; remembers what was asked."""

    def __init__(self, root: Path, *texts: str) -> None:
        self.root, self.texts = root, list(texts)
        self.asked: list[tuple[str, ...]] = []

    def query(self, *command: str, timeout_s: float = 0) -> Ran:
        self.asked.append(command)
        return Ran(0, self.texts.pop(0) if len(self.texts) > 1 else self.texts[0])

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")


def planner(endpoint: Endpoint) -> Planner:
    return Planner(Queries(endpoint), Disk(endpoint))  # type: ignore[arg-type]


def test_what_was_asked_with_every_version_is_not_asked_again(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path, ONE)
    found = planner(endpoint)._settled(named_versions([(HERE[0], "2")]), HERE, Bounds())
    assert not isinstance(found, Refused)
    assert [a.name for a in found.actions] == ["one"]
    assert len(endpoint.asked) == 1


def test_what_follows_from_it_is_named_and_asked_again(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path, WITH_TWO)
    found = planner(endpoint)._settled(named_versions([(HERE[0], "2")]), HERE, Bounds())
    assert not isinstance(found, Refused)
    assert [a.name for a in found.actions] == ["one", "two"]
    assert endpoint.asked[1][-2:] == ("one:amd64=2", "two:amd64=2")


def test_two_answers_that_differ_are_a_refusal(tmp_path: Path) -> None:
    endpoint = Endpoint(tmp_path, WITH_TWO, ONE)
    found = planner(endpoint)._settled(named_versions([(HERE[0], "2")]), HERE, Bounds())
    assert isinstance(found, Refused)
    assert "not come to the same transaction twice" in found.reason


def test_targets_are_spelled_and_ordered_as_a_transaction_is() -> None:
    targets = [(Installed(n, a, "1", n, "1", "ii"), "2") for n, a in (("b", "all"), ("a", "i386"), ("a", "amd64"))]
    actions = [Action(ActionKind.UPGRADE, p.name, p.architecture, p.version, v) for p, v in targets]
    assert named_versions(targets) == arguments(make_transaction(actions)) == ("a:amd64=2", "a:i386=2", "b=2")


@pytest.mark.parametrize(("size", "ready"), [("3", True), ("4", False), ("0", False), ("", False)])
def test_an_archive_lies_ready_when_its_size_is_known_and_fits(tmp_path: Path, size: str, ready: bool) -> None:
    place = tmp_path / "var/cache/apt/archives"
    place.mkdir(parents=True)
    (place / "one_2_amd64.deb").write_bytes(b"abc")
    found = make_transaction([Action(ActionKind.UPGRADE, "one", "amd64", "1", "2")])
    records = {("one", "2"): {"size": size}} if size else {}
    assert planner(Endpoint(tmp_path, "")).lies_ready(found, records) is ready


def test_marks_are_those_of_apts_file() -> None:
    text = (
        "Package: one\nArchitecture: amd64\nAuto-Installed: 1\n\n"
        "Package: two\nArchitecture: amd64\nAuto-Installed: 0\n\n"
        "Package: three\nArchitecture: i386\nAuto-Installed: 1\n"
    )
    assert automatic_of(text) == (("one", "amd64"), ("three", "i386"))
