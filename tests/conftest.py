"""Fixtures for all suites: real PostgreSQL, a clock that stands still, ids; and the totals per suite at the end.

`database` gives every test a migrated database of its own. In files called `test_store*.py`, and wherever a test is
marked `both_postgres`, it comes twice: from the wheel's PostgreSQL 18 and from Debian's 15.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
import structlog
from hypothesis import settings
from tests.postgres_clusters import BINDIRS, Cluster, TestDatabase, sweep

from brakeline.core.clock import ManualClock
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database

settings.register_profile("patient", deadline=None)  # a loaded machine is no finding; new draws, of `./dev test --all`
settings.register_profile(
    "same", deadline=None, derandomize=True, max_examples=50
)  # of `./dev test`: it answers alike twice
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=25)  # of `./dev check`
settings.load_profile("patient")
PLAIN = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)  # as in `observe`
structlog.configure(processors=[*structlog.get_config()["processors"][:-1], PLAIN])
SUITES = ("unit", "sim", "scenarios", "contract", "integration", "migration", "system", "stress", "arch")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_postgres: run on the wheel's PostgreSQL 18 and on Debian's 15")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are made and all are kept: to look for garbage among them takes two fifths of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Whoever turns the search for garbage off for good lets all later tests of this process pile theirs up."""
    yield
    if not gc.isenabled():
        gc.enable()
        pytest.fail(f"{item.nodeid} left the garbage collector off", pytrace=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "postgres" in metafunc.fixturenames:
        both = metafunc.module.__name__.rpartition(".")[2].startswith("test_store")
        both = both or metafunc.definition.get_closest_marker("both_postgres") is not None
        metafunc.parametrize("postgres", list(BINDIRS) if both else ["wheel18"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def clusters() -> Iterator[dict[str, Cluster]]:
    """Clusters by name, started when first asked for."""
    sweep()
    started: dict[str, Cluster] = {}
    yield started
    for cluster in started.values():
        cluster.close()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, clusters: dict[str, Cluster]) -> Cluster:
    """The running cluster that this test shall use."""
    name: str = request.param
    if name not in clusters:
        clusters[name] = Cluster(name)
    return clusters[name]


@pytest.fixture
async def test_database(postgres: Cluster) -> AsyncIterator[TestDatabase]:
    """A migrated database of this test's own, by its addresses."""
    made = await postgres.new_database()
    yield made
    await postgres.drop(made.name)


@pytest.fixture
async def database(test_database: TestDatabase) -> AsyncIterator[Database]:
    """A migrated database of this test's own, opened as the application and as the feed."""
    opened = await Database.open(test_database.dsn_app, test_database.dsn_feed, pool_max=6)
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    """Time that moves only when told."""
    return ManualClock(ms=1_795_400_000_000)


@pytest.fixture
def ids(clock: ManualClock) -> IdMaker:
    return IdMaker(clock)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # outermost: after pytest's own short summary
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """One line per suite directory, just before pytest's closing line."""
    yield
    _print_suites(terminalreporter)


def _print_suites(terminalreporter: pytest.TerminalReporter) -> None:
    counts: dict[str, Counter[str]] = {}
    for outcome, label in (("passed", "passed"), ("failed", "failed"), ("error", "failed"), ("skipped", "skipped")):
        for report in terminalreporter.stats.get(outcome, []):
            parts = report.nodeid.split("/")
            suite = parts[1] if len(parts) > 2 and parts[1] in SUITES else parts[0]
            counts.setdefault(suite, Counter())[label] += 1
    if not counts:
        return
    terminalreporter.section("suites")
    order = {name: i for i, name in enumerate(SUITES)}
    for suite in sorted(counts, key=lambda s: (order.get(s, len(SUITES)), s)):
        c = counts[suite]
        line = f"{suite:<12} {c['passed']:>5} passed {c['failed']:>5} failed {c['skipped']:>5} skipped"
        terminalreporter.write_line(line)
