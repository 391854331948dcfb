"""The real archive: genuine, signed, pending security updates of Debian 12, planned and applied by real apt."""

from __future__ import annotations

import pytest
from tests.aptroot import clone, order
from tests.support import require

from brakeline.agent.providers.model import Bounds, Planned, Refreshed, Refused
from brakeline.protocol.messages import Outcome, UpdateRef, UpdateState


@pytest.mark.long
def test_real_security_updates_from_inventory_to_proof() -> None:
    with clone(with_lists=True) as endpoint:
        provider = endpoint.provider
        packages = {p.name: p for p in provider.inventory()}
        assert len(packages) > 100
        assert {p.origin for p in packages.values()} <= {"Debian", "Debian-Security"}
        waiting = {u.name: u for u in provider.available()}
        assert len(waiting) >= 20
        for update in waiting.values():
            assert (update.security, update.state) == (True, UpdateState.AVAILABLE), update
            assert update.suite.startswith("Debian-Security:12/")
            assert update.download_bytes > 0
        chosen = tuple(UpdateRef(n, waiting[n].candidate) for n in ("jq", "expat", "unzip", "tzdata"))
        planned = provider.plan(chosen, Bounds())
        assert isinstance(planned, Planned), planned
        names = [a.name for a in planned.transaction.actions]
        assert names == ["expat", "jq", "libexpat1", "libjq1", "tzdata", "unzip"], "with what they depend on"
        assert (planned.rollback, planned.no_way_back) == (tuple(names), ())
        sizes = sum(waiting[n].download_bytes for n in names)
        assert planned.transaction.download_bytes == sizes
        result = provider.apply(order(planned.transaction), endpoint.said.append)
        assert (result.outcome, result.code) == (Outcome.INSTALLED, "ok"), result
        assert [(c.name, c.before, c.after) for c in result.changes] == [
            (a.name, a.before, a.after) for a in planned.transaction.actions
        ]
        for update in chosen:
            assert endpoint.version(update.name) == f"ii {update.version}"
        assert provider.verify(planned.transaction) == ()
        left = {u.name for u in provider.available()}
        assert left == set(waiting) - set(names)


def test_real_refresh_of_the_real_archive() -> None:
    with clone(with_lists=True) as endpoint:
        answer = endpoint.provider.refresh()
        require(not (isinstance(answer, Refused) and answer.code == "no_network"), "a way to the Debian archive")
        assert isinstance(answer, Refreshed), answer
        health = endpoint.provider.health()
        assert (health.healthy, health.lists_problem, health.lists_refreshed_ms) == (True, "", answer.at_ms)
