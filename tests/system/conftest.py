"""Fixtures of the system tests: a real server on an empty directory, a fleet of real endpoints."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.support import require
from tests.system.box import Box, own_place
from tests.system.world import Server
from tools.fleetbox import fleet

HUNG_S = 900  # real endpoints on a crowded machine; the tests' own bounds are tighter


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(HUNG_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the endpoints themselves say: after the run nothing is left to look at."""
    report = yield
    values = getattr(item, "funcargs", {}).values()
    boxes = [b for v in values if isinstance(b := getattr(v, "box", v), Box)]
    if report.failed and report.when == "call" and boxes:
        report.sections += [(f"endpoint {name}", boxes[0].testimony(name)) for name in boxes[0].names]
    return report


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on an empty data directory."""
    made = Server(tmp_path_factory.mktemp("server", numbered=True) / "data")
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    """A fleet that is not up yet; whatever the tests do with it, nothing of it stays."""
    lacks = fleet.missing()
    require(not lacks, "; ".join(lacks))
    made = Box(own_place("st"))
    try:
        yield made
    finally:
        left = made.down()
    assert left == ()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory for packages that the module builds."""
    return tmp_path_factory.mktemp("packages")
