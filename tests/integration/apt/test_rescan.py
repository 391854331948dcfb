"""What real dpkg and apt do is seen by the agent's stamp; what they do without effect costs no look at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from tests.aptrepo import Built, Repository
from tests.aptroot import Clone
from tests.integration.apt.steps import prepare

from brakeline.agent import stamp
from brakeline.agent.model import ScanSummary
from brakeline.agent.rescan import Depth, Look, depth
from brakeline.protocol import codec
from brakeline.protocol.messages import Inventory

STATE = "/tmp/agent"


@dataclass
class Resident:
    """The agent of a clone, as far as it decides about scans; a scan's news counts as acknowledged."""

    endpoint: Clone
    look: Look | None = None
    sequence: int = 0
    news: list[Inventory] = field(default_factory=list)

    def due(self) -> Depth:
        """What the resident agent would find due, an hour later: long before any time limit."""
        now_s = self.look.looked_s + 3600 if self.look else 0.0
        return depth(self.look, stamp.take("1", self.endpoint.machine.root), now_s, asked=False)

    def scan(self) -> ScanSummary:
        """The product's own `scan`, inside the clone."""
        arguments = ("scan", "--state", STATE, "--base", str(self.sequence), "--sequence", str(self.sequence + 1))
        text = self.endpoint.agent("-m", "brakeline.agent", *arguments)
        summary = codec.decode(ScanSummary, text.strip().splitlines()[-1].encode())
        # What the child saw is what the resident sees from outside, but for the version and the container's boot.
        seen = stamp.take("1", self.endpoint.machine.root)
        assert summary.look is not None
        self.look = Look(seen, summary.look.full_s, summary.look.looked_s)
        if summary.sequence:
            self.sequence = summary.sequence
            work = self.endpoint.machine.path(f"{STATE}/work")
            self.news.append(codec.decode(Inventory, (work / "inventory.json").read_bytes()))
            (work / "packages.tsv").rename(work.parent / "acknowledged.tsv")
            (work / "status.json").rename(work.parent / "acknowledged-status.json")
        return summary

    def versions(self) -> dict[str, str]:
        """What the last message said has changed."""
        return {p.name: f"{p.state} {p.version}" for p in self.news[-1].changed}

    def candidates(self) -> dict[str, str]:
        status = self.news[-1].status
        assert status is not None
        return {u.name: u.candidate for u in status.pending}


@pytest.mark.long
def test_a_life_of_packages(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, first=(Built("p", "1"), Built("q", "1")))
    agent = Resident(endpoint)
    assert agent.due() is Depth.FULL, "nothing is known"
    assert agent.scan().full
    assert agent.due() is Depth.NOTHING

    endpoint.sh("dpkg --list; apt-cache policy p; apt-get -s upgrade; apt-get -s dist-upgrade; dpkg --audit")
    assert agent.due() is Depth.NOTHING, "questions change nothing"

    endpoint.sh("apt-get -q -eany update")
    assert agent.due() < Depth.FULL, "the lists are the same"
    assert not agent.scan().full
    assert agent.due() is Depth.NOTHING

    repository.publish(Built("p", "2"))
    assert agent.due() is Depth.NOTHING, "nobody has heard of it here"
    endpoint.sh("apt-get -q -eany update")
    assert agent.due() is Depth.FULL
    agent.scan()
    assert agent.candidates() == {"p": "2"}

    endpoint.sh("apt-get -qy install p")
    assert agent.due() is Depth.FULL
    agent.scan()
    assert (agent.versions(), agent.candidates()) == ({"p": "ii 2"}, {})

    endpoint.sh("apt-get -qy remove q")
    assert agent.due() is Depth.FULL
    agent.scan()
    assert "q" in agent.news[-1].removed[0]

    for change in (
        "apt-mark hold p",
        "apt-mark auto p",
        "printf 'Package: p\\nPin: version 1\\nPin-Priority: 1001\\n' > /etc/apt/preferences.d/p",
        "echo 'APT::Install-Recommends \"false\";' > /etc/apt/apt.conf.d/99x",
        "rm /etc/apt/apt.conf.d/99x",
    ):
        endpoint.sh(change)
        assert agent.due() is Depth.FULL, change
        agent.scan()
        assert agent.due() is Depth.NOTHING, change


def test_a_package_that_breaks_is_news_although_no_version_changed(endpoint: Clone, repository: Repository) -> None:
    broken = Built("p", "2", scripts={"postinst": "exit 1"})
    prepare(endpoint, repository, broken, first=(Built("p", "1"),))
    agent = Resident(endpoint)
    agent.scan()
    endpoint.sh("apt-get -qy install p || true")
    assert agent.due() is Depth.FULL
    assert not agent.scan().healthy
    assert agent.versions() == {"p": "iF 2"}


def test_need_to_restart_is_the_quick_part(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("p", "2"), first=(Built("p", "1"),))
    agent = Resident(endpoint)
    agent.scan()
    endpoint.sh("touch /run/reboot-required; echo libc6 > /run/reboot-required.pkgs")
    assert agent.due() is Depth.QUICK
    assert not agent.scan().full
    status = agent.news[-1].status
    assert status is not None
    assert status.reboot.reasons == ("requested by libc6",)
    assert agent.candidates() == {"p": "2"}, "taken from the last full look"
    assert json.loads(endpoint.machine.path(f"{STATE}/work/looked.json").read_text())["updates"][0]["name"] == "p"
