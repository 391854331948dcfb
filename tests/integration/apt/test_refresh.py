"""Why lists could not be refreshed: each cause told apart, remembered, and never called up to date."""

from __future__ import annotations

import json
import time

from tests.aptrepo import Built, Repository, ago
from tests.aptroot import Clone
from tests.integration.apt.test_faults import lock_held

from brakeline.agent.providers.apt.lists import RECORD
from brakeline.agent.providers.model import Refreshed, Refused


def refused(endpoint: Clone) -> Refused:
    answer = endpoint.provider.refresh()
    assert isinstance(answer, Refused), answer
    assert endpoint.provider.health().lists_problem == answer.reason
    return answer


def test_success_is_remembered_for_the_unprivileged_agent(endpoint: Clone, repository: Repository) -> None:
    assert endpoint.provider.health().lists_refreshed_ms == 0
    repository.publish(Built("one", "1"))
    endpoint.use(repository)
    answer = endpoint.provider.refresh()
    assert isinstance(answer, Refreshed)
    health = endpoint.provider.health()
    assert (health.lists_refreshed_ms, health.lists_problem) == (answer.at_ms, "")
    assert abs(answer.at_ms - time.time() * 1000) < 60_000
    assert endpoint.machine.path(RECORD).stat().st_mode & 0o777 == 0o644


def test_no_network(endpoint: Clone, repository: Repository) -> None:
    repository.publish(Built("one", "1"))
    endpoint.use(repository)
    assert isinstance(endpoint.provider.refresh(), Refreshed)
    good = endpoint.provider.health().lists_refreshed_ms
    repository.stop()
    answer = refused(endpoint)
    assert answer.code == "no_network"
    assert answer.reason == f"http://127.0.0.1:{repository.port}: it could not be reached."
    assert endpoint.provider.health().lists_refreshed_ms == good, "the last success stays known"


def test_hash_mismatch(endpoint: Clone, repository: Repository) -> None:
    repository.publish(Built("one", "1"))
    endpoint.use(repository)
    repository.publish(Built("two", "1"))
    repository.spoil()
    assert refused(endpoint).code == "hash_mismatch"


def test_expired_release(endpoint: Clone, repository: Repository) -> None:
    repository.publish(Built("one", "1"))
    endpoint.use(repository)
    repository.publish(Built("two", "1"), valid_until=ago(3))
    answer = refused(endpoint)
    assert answer.code == "expired"
    assert "its Release file has expired: the mirror is stale" in answer.reason


def test_lists_that_expire_later_are_told_without_a_refresh(endpoint: Clone, repository: Repository) -> None:
    repository.publish(Built("one", "1"), valid_until=ago(-1))
    endpoint.use(repository)
    assert isinstance(endpoint.provider.refresh(), Refreshed)
    release = next(endpoint.machine.path("/var/lib/apt/lists").glob("*Release"))
    release.write_text(release.read_text().replace(ago(-1)[:16], ago(2)[:16]))
    record = endpoint.machine.path(RECORD)
    values = json.loads(record.read_text())
    record.write_text(json.dumps({**values, "tried_ms": values["tried_ms"] + 60_000}))
    assert endpoint.provider.health().lists_problem.startswith("The lists of Test expired ")


def test_not_signed(endpoint: Clone, repository: Repository) -> None:
    repository.publish(Built("one", "1"))
    endpoint.use(repository)
    endpoint.sh("sed -i 's/.trusted=yes. //' /etc/apt/sources.list")
    assert refused(endpoint).code == "signature"


def test_repository_is_gone(endpoint: Clone, repository: Repository) -> None:
    repository.publish(Built("one", "1"))
    endpoint.use(repository)
    for path in repository.directory.iterdir():
        path.unlink()
    assert refused(endpoint).code == "not_found"


def test_unreadable_sources(endpoint: Clone, repository: Repository) -> None:
    repository.publish(Built("one", "1"))
    endpoint.use(repository)
    endpoint.sh("echo 'deb nonsense' >> /etc/apt/sources.list")
    assert refused(endpoint).code == "sources"


def test_lists_locked_says_by_whom(endpoint: Clone, repository: Repository) -> None:
    repository.publish(Built("one", "1"))
    endpoint.use(repository)
    clock = Stepping()
    with lock_held(endpoint, "/var/lib/apt/lists/lock"):
        from dataclasses import replace

        answer = replace(endpoint.provider, clock=clock, pause=clock.pause).refresh()
    assert isinstance(answer, Refused)
    assert answer.code == "locked"
    assert answer.reason.startswith("The package lists have been locked for 120 s by python3 (pid ")


class Stepping:
    """A clock that moves by what is waited."""

    elapsed = 0.0

    def now_ms(self) -> int:
        return 1_800_000_000_000

    def monotonic_s(self) -> float:
        return self.elapsed

    def pause(self, seconds: float) -> None:
        self.elapsed += seconds * 20
