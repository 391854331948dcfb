"""Own packages that bring an rpm, seen by rpm's own record: the real rpm over a root that the test makes (*real
manager, synthetic packages*)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.aptroot import order
from tests.ownpackages import Endpoint, Under, artifact, package, script, signed
from tests.rpmrepo import Root, Rpm, RpmRepository, needed, run

from brakeline.agent.providers.apt.runner import Ran
from brakeline.agent.providers.model import Bounds, Inverse, Planned
from brakeline.agent.providers.own import OwnProvider
from brakeline.agent.providers.own.looking import look
from brakeline.protocol.messages import Outcome, TransactionResult, UpdateRef
from brakeline.protocol.software import Detection, Document, Look

INSTALL = 'rpm --root "$ROOT/sys/root" -U --oldpackage --nosignature "$BRAKELINE_ARTIFACT"'
SEEN = Detection(Look.RPM, package="payroll")


@dataclass(frozen=True)
class UnderRpm(Under):
    """As `Under`, and its rpm has the root that the test manages."""

    def query(self, *command: str, timeout_s: float = 60.0) -> Ran:
        words = ("rpm", "--root", str(self.root / "sys/root"), *command[1:]) if command[0] == "rpm" else command
        return super().query(*words, timeout_s=timeout_s)


@dataclass
class RpmEndpoint(Endpoint):
    """One whose own packages are rpms."""

    def __post_init__(self) -> None:
        super().__post_init__()
        needed()
        self.repository = RpmRepository(self.root / "vendor")
        self.repository.stop()  # only built
        self.system = Root(self.root / "sys", self.repository)

    @property
    def runner(self) -> UnderRpm:
        return UnderRpm(self.root)

    @property
    def provider(self) -> OwnProvider:
        return OwnProvider(self.clock, self.runner, self.root / "content")

    def brings(self, version: str, release: str = "1", head: tuple[str, ...] = ()) -> Document:
        """An own package around an rpm, in this endpoint's content."""
        built = Rpm("payroll", version, release, head=head)
        self.repository._build(built)
        data = (self.repository.directory / f"payroll-{built.evr}.noarch.rpm").read_bytes()
        evr = f"{head[0].partition(': ')[2]}:{built.evr}" if head else built.evr
        plain = package(version=evr, artifact=artifact(data, "payroll.rpm"), install=script(INSTALL),
                        detection={"kind": "rpm", "package": "payroll"},
                        uninstall=script('rpm --root "$ROOT/sys/root" -e payroll'))  # fmt: skip
        return self.publish(signed(plain), data)

    def bring(self, document: Document, number: int) -> TransactionResult:
        answer = self.provider.plan((UpdateRef("payroll:own", document.version),), Bounds())
        assert isinstance(answer, Planned), answer
        assert self.provider.prepare(answer.transaction) is None
        told = replace(order(answer.transaction, number=number), rollout_id=f"ro_{number}")
        return self.in_unit.apply(told, [].append)

    def sees(self) -> list[str]:
        return [p.version for p in self.provider.inventory()]


@pytest.fixture
def endpoint(tmp_path: Path) -> RpmEndpoint:
    return RpmEndpoint(tmp_path)


def test_rpm_says_what_is_there_before_after_and_when_it_is_taken_back(endpoint: RpmEndpoint) -> None:
    first = endpoint.brings("1.0")
    assert endpoint.sees() == []
    assert endpoint.bring(first, 1).outcome is Outcome.INSTALLED
    assert endpoint.sees() == [first.version]
    second = endpoint.brings("2.0~rc1", "1.el9")
    (waits,) = endpoint.provider.available()
    assert (waits.installed, waits.candidate) == (first.version, second.version)
    done = endpoint.bring(second, 2)
    assert (done.outcome, done.way_back is not None and done.way_back.stored) == (Outcome.INSTALLED, True)
    assert endpoint.system.has("payroll") == ["2.0~rc1-1.el9"]
    left = endpoint.in_unit.undo("ro_2", look=True)
    assert isinstance(left, Inverse)
    taken = replace(order(left.transaction, Bounds(allow_downgrades=True, allow_removals=True), 9), inverse=left)
    assert endpoint.in_unit.apply(taken, [].append).outcome is Outcome.INSTALLED
    assert endpoint.system.has("payroll") == ["1.0-1"]
    assert endpoint.sees() == [first.version]


def test_a_script_that_ends_well_and_installs_nothing_is_no_success(endpoint: RpmEndpoint) -> None:
    endpoint.brings("1.0")
    liar = endpoint.publish(signed(package(version="3.0-1", detection={"kind": "rpm", "package": "payroll"},
                                           install=script("true"))))  # fmt: skip
    assert endpoint.bring(liar, 1).code == "verify_failed"


def test_what_root_did_by_hand_is_seen_as_what_it_is(endpoint: RpmEndpoint) -> None:
    first = endpoint.brings("1.0")
    endpoint.bring(first, 1)
    endpoint.brings("1.5", head=("Epoch: 2",))
    path = endpoint.repository.directory / "payroll-1.5-1.noarch.rpm"
    run("rpm", "--root", str(endpoint.system.path), "-U", "--nosignature", str(path))
    assert look(endpoint.runner, SEEN, None) == "2:1.5-1", "the epoch is part of it"
    run("rpm", "--root", str(endpoint.system.path), "-e", "payroll")
    assert endpoint.sees() == [], "our own record says otherwise, and rpm is right"


def test_no_answer_is_not_taken_for_nothing_there(endpoint: RpmEndpoint) -> None:
    assert look(endpoint.runner, SEEN, None) == ""
    database = endpoint.system.lock.parent / "rpmdb.sqlite"
    database.write_bytes(hashlib.sha256(b"damage").digest() * 1000)
    with pytest.raises(OSError, match="rpm gave no answer"):
        look(endpoint.runner, SEEN, None)


def test_without_rpm_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brakeline.agent.providers.apt.runner.BASE_ENVIRONMENT", {"PATH": "/nowhere"})
    monkeypatch.setenv("PATH", "/nowhere")
    assert look(Endpoint(tmp_path).runner, SEEN, None) == ""
