"""What waits and why, against real apt: each state of a pending update provoked for real."""

from __future__ import annotations

from tests.aptrepo import Built, Repository
from tests.aptroot import Clone
from tests.integration.apt.steps import prepare

from brakeline.protocol.messages import PendingUpdate, UpdateState


def pending(endpoint: Clone) -> dict[str, PendingUpdate]:
    return {u.name: u for u in endpoint.provider.available()}


def test_plain_update_is_available(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("plain", "2"), first=(Built("plain", "1"),))
    found = pending(endpoint)["plain"]
    assert (found.state, found.reason, found.installed, found.candidate) == (UpdateState.AVAILABLE, "", "1", "2")
    assert (found.suite, found.security) == ("Test:1/stable", False)
    assert found.download_bytes > 100


def test_held(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("held", "2"), first=(Built("held", "1"),))
    endpoint.sh("apt-mark hold held")
    found = pending(endpoint)["held"]
    assert found.state is UpdateState.HELD
    assert "owner" in found.reason
    assert endpoint.refusal(("held", "2")).code == "held"


def test_needs_new_package(endpoint: Clone, repository: Repository) -> None:
    newer = (Built("wants", "2", depends="brandnew"), Built("brandnew", "1"))
    prepare(endpoint, repository, *newer, first=(Built("wants", "1"),))
    found = pending(endpoint)["wants"]
    assert (found.state, found.reason) == (UpdateState.NEEDS_NEW, "Needs new packages: brandnew.")


def test_needs_removal(endpoint: Clone, repository: Repository) -> None:
    first = (Built("winner", "1"), Built("loser", "1"))
    prepare(endpoint, repository, Built("winner", "2", conflicts="loser"), first=first)
    found = pending(endpoint)["winner"]
    assert (found.state, found.reason) == (UpdateState.NEEDS_REMOVAL, "Needs loser to be removed.")


def test_kept_back_says_what_is_missing(endpoint: Clone, repository: Repository) -> None:
    prepare(endpoint, repository, Built("stuck", "2", depends="nowhere (>= 3)"), first=(Built("stuck", "1"),))
    found = pending(endpoint)["stuck"]
    assert found.state is UpdateState.KEPT_BACK
    assert "nowhere" in found.reason


def test_phased_to_nobody_half_and_all(endpoint: Clone, repository: Repository) -> None:
    first = (Built("none", "1"), Built("half", "1"), Built("all", "1"))
    newer = (Built("none", "2", phased=0), Built("half", "2", phased=50), Built("all", "2", phased=100))
    prepare(endpoint, repository, *newer, first=first)
    seen = set()
    for digit in "123456":
        endpoint.sh(f"printf '%s\\n' {digit * 32} > /etc/machine-id")
        found = pending(endpoint)
        assert found["none"].state is UpdateState.PHASED
        assert found["none"].reason == "Phased: offered to 0 % of all machines so far, not yet to this one."
        assert found["all"].state is UpdateState.AVAILABLE
        seen.add(found["half"].state)
    assert seen == {UpdateState.PHASED, UpdateState.AVAILABLE}


def test_security_by_suite_even_when_another_suite_supersedes_it(endpoint: Clone, repository: Repository) -> None:
    repository.label, repository.suite = "Debian-Security", "oldstable-security"
    prepare(endpoint, repository, Built("sec", "1.1"), first=(Built("sec", "1"),))
    found = pending(endpoint)["sec"]
    assert (found.security, found.suite) == (True, "Debian-Security:1/oldstable-security")


def test_inventory_says_origin_source_and_left_over_configuration(endpoint: Clone, repository: Repository) -> None:
    package = Built("left", "1", files={"/etc/left.conf": "x\n"}, conffiles=("/etc/left.conf",))
    other = Built("bin", "2", fields={"Source": "src (1.9)"})
    prepare(endpoint, repository, first=(package, other))
    endpoint.sh("apt-get -qy remove left")
    found = {p.name: p for p in endpoint.provider.inventory()}
    assert (found["left"].state, found["left"].origin) == ("rc", "Test")
    assert (found["bin"].source, found["bin"].source_version, found["bin"].state) == ("src", "1.9", "ii")
    assert found["bash"].origin == "", "no repository of this endpoint has bash"
    assert "left" not in pending(endpoint)
