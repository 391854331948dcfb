"""Two real package managers on one real root file system: the product's own scan and transaction, pip beside apt."""

from __future__ import annotations

import ensurepip
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.aptrepo import Built, Repository
from tests.aptroot import Clone, order
from tests.integration.apt.steps import prepare
from tests.integration.apt.test_rescan import Resident
from tests.integration.apt.test_transaction import STATE, result, run, write
from tests.pipindex import LABEL, Index

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.plan import make_transaction
from brakeline.agent.providers.model import Bounds, Planned
from brakeline.agent.providers.pip import PipProvider
from brakeline.agent.rescan import Depth
from brakeline.agent.transaction import write_order
from brakeline.protocol.messages import Action, ActionKind, Inventory, Outcome, UpdateRef

HOME = "/opt/pipx/venvs/tool"
SITE = f"{HOME}/lib/python3.11/site-packages"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path / "index")
    yield made
    made.stop()


def with_tool(endpoint: Clone, index: Index) -> PipProvider:
    """An environment as `pipx --global` makes it, with real pip and `tool` 1.0 in it."""
    endpoint.sh(f"python3 -m venv --without-pip {HOME}")
    (wheel,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
    with zipfile.ZipFile(wheel) as z:
        z.extractall(endpoint.machine.path(SITE))
    endpoint.machine.path(f"{HOME}/pip.conf").write_text(f"[global]\nindex-url = {index.url}\n")
    index.publish("tool", "1.0")
    endpoint.sh(f"{HOME}/bin/python -I -m pip -q install tool==1.0")
    return PipProvider(SystemClock(), endpoint.machine)


def told(news: Inventory) -> dict[str, str]:
    return {f"{p.name}:{p.architecture}": f"{p.state} {p.version} {p.ecosystem}" for p in news.changed}


@pytest.mark.long
def test_an_environment_that_comes_breaks_and_heals(endpoint: Clone, repository: Repository, index: Index) -> None:
    prepare(endpoint, repository, Built("job", "2"), first=(Built("job", "1"),))
    resident = Resident(endpoint)
    resident.scan()
    assert not any(p.ecosystem == "pypi" for p in resident.news[-1].changed)
    with_tool(endpoint, index)
    assert resident.due() is Depth.FULL
    resident.scan()
    assert told(resident.news[-1])[f"tool:{LABEL}"] == "ii 1.0 pypi"
    site = endpoint.machine.path(SITE)
    site.rename(site.with_name("aside"))
    site.write_text("not a directory")
    resident.scan()
    status = resident.news[-1].status
    assert status is not None
    assert (resident.news[-1].changed, resident.news[-1].removed) == ((), ())  # not known is never none
    assert status.health.healthy
    assert status.health.problems[0].startswith("pip: could not be looked at, its packages are as last known")
    assert [u.name for u in status.pending] == ["job"]
    site.unlink()
    site.with_name("aside").rename(site)
    resident.scan()
    status = resident.news[-1].status
    assert status is not None
    assert status.health.problems == ()


def test_order_for_pip_in_result_out(endpoint: Clone, repository: Repository, index: Index) -> None:
    prepare(endpoint, repository, Built("tool", "2"), first=(Built("tool", "1"),))  # Debian has one of that name, too
    provider = with_tool(endpoint, index)
    index.publish("tool", "1.1")
    found = provider.plan((UpdateRef(f"tool:{LABEL}", "1.1"),), Bounds())
    assert isinstance(found, Planned), found
    write(endpoint, found.transaction)
    assert run(endpoint) == ""
    done = result(endpoint)
    assert (done.outcome, done.code) == (Outcome.INSTALLED, "ok"), done
    assert [(c.name, c.architecture, c.before, c.after) for c in done.changes] == [("tool", LABEL, "1.0", "1.1")]
    assert done.way_back is not None
    assert done.way_back.stored
    assert endpoint.version("tool") == "ii 1"
    assert endpoint.sh(f"{HOME}/bin/python -I -c 'import tool; print(tool.VERSION)'") == "1.1\n"


def test_an_order_over_two_managers_changes_nothing(endpoint: Clone, repository: Repository, index: Index) -> None:
    prepare(endpoint, repository, Built("tool", "2"), first=(Built("tool", "1"),))
    with_tool(endpoint, index)
    index.publish("tool", "1.1")
    ours = Action(ActionKind.UPGRADE, "tool", "all", "1", "2")
    theirs = Action(ActionKind.UPGRADE, "tool", LABEL, "1.0", "1.1")
    write_order(endpoint.machine.path(STATE), order(make_transaction([ours, theirs])))
    run(endpoint)
    assert (result(endpoint).outcome, result(endpoint).code) == (Outcome.REFUSED, "no_manager")
    assert endpoint.version("tool") == "ii 1"
