"""A scan that looks at a part: it tells the same, costs less, and believes nothing that may not hold any more."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from brakeline.agent import scan as scanning
from brakeline.agent.clock import SystemClock
from brakeline.agent.model import ScanSummary
from brakeline.agent.providers.fake import FakeProvider, Version
from brakeline.agent.providers.model import Provider
from brakeline.agent.rescan import Stamp
from brakeline.agent.scan import LOOKED, Task, adopt, scan
from brakeline.protocol import codec
from brakeline.protocol.messages import Inventory, Package, PendingUpdate, RebootNeed


@dataclass(slots=True)
class Counting(FakeProvider):
    """Counts the expensive verb; can lose an answer."""

    surveys: int = 0
    lost: bool = False

    def survey(self) -> tuple[tuple[Package, ...], tuple[PendingUpdate, ...]]:
        self.surveys += 1
        if self.lost:
            raise OSError("apt-cache took too long")
        return FakeProvider.survey(self)


@dataclass
class Endpoint:
    state: Path
    provider: Counting = field(default_factory=lambda: Counting(SystemClock()))
    sequence: int = 0
    stamp: Stamp = field(default_factory=lambda: Stamp("s1", "q1"))
    now_s: float = 100.0

    def scan(self, *, full: bool = False) -> ScanSummary:
        """As the agent does; what is new counts as acknowledged."""
        provider: Provider = self.provider
        task = Task(self.sequence, self.sequence + 1, "1", self.stamp, self.now_s, full)
        summary = scan(provider, self.state, task)
        if summary.sequence:
            self.sequence = summary.sequence
            adopt(self.state)
        return summary

    def message(self) -> Inventory:
        return codec.decode(Inventory, (self.state / "work" / scanning.BODY).read_bytes())


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    (tmp_path / "work").mkdir()
    made = Endpoint(tmp_path)
    made.provider.have("p", "1")
    made.provider.lists = [Version("p", "2")]
    assert made.scan(full=True).sequence == 1
    return made


def test_nothing_changed_costs_no_survey_and_says_nothing(endpoint: Endpoint) -> None:
    summary = endpoint.scan()
    assert (summary.sequence, summary.full, summary.packages, endpoint.provider.surveys) == (0, False, 1, 1)


def test_the_quick_part_is_told_with_the_updates_that_still_hold(endpoint: Endpoint) -> None:
    endpoint.provider.reboot = RebootNeed(required=True, reasons=("why",))
    endpoint.stamp = replace(endpoint.stamp, quick="q2")
    assert endpoint.scan().sequence == 2
    message = endpoint.message()
    assert message.status is not None
    assert message.status.reboot.required
    assert [u.candidate for u in message.status.pending] == ["2"]
    assert (message.changed, message.removed, endpoint.provider.surveys) == ((), (), 1)


def test_changed_records_are_looked_at_and_told(endpoint: Endpoint) -> None:
    endpoint.provider.have("p", "2")
    endpoint.stamp = replace(endpoint.stamp, slow="s2")
    summary = endpoint.scan()
    assert (summary.sequence, summary.full, endpoint.provider.surveys) == (2, True, 2)
    assert [p.version for p in endpoint.message().changed] == ["2"]
    assert summary.look is not None
    assert summary.look.stamp == endpoint.stamp


def test_asked_means_everything(endpoint: Endpoint) -> None:
    assert endpoint.scan(full=True).full
    assert endpoint.provider.surveys == 2


def test_what_was_found_and_never_told_is_told_by_the_next_quick_look(endpoint: Endpoint) -> None:
    """The agent died between a full look and the acknowledgement."""
    endpoint.provider.have("q", "1")
    endpoint.stamp = replace(endpoint.stamp, slow="s2")
    scan(endpoint.provider, endpoint.state, Task(1, 2, "1", endpoint.stamp, endpoint.now_s, full=False))
    summary = endpoint.scan()
    assert (summary.sequence, summary.full, endpoint.provider.surveys) == (2, False, 2)
    assert [p.name for p in endpoint.message().changed] == ["q"]


def test_a_look_that_fails_leaves_nothing_to_believe(endpoint: Endpoint) -> None:
    endpoint.stamp, endpoint.provider.lost = replace(endpoint.stamp, slow="s2"), True
    with pytest.raises(OSError, match="too long"):
        endpoint.scan()
    endpoint.stamp, endpoint.provider.lost = replace(endpoint.stamp, slow="s1"), False
    assert endpoint.scan().full


@pytest.mark.parametrize("damage", [b"", b"\x00\xff", b'{"look":'])
def test_a_damaged_memory_is_looked_up_again(endpoint: Endpoint, damage: bytes) -> None:
    (endpoint.state / "work" / LOOKED).write_bytes(damage)
    assert endpoint.scan().full
