"""Pure parts of the database's platform: addresses, roles' addresses, what is pending."""

from __future__ import annotations

from pathlib import Path

import pytest

from brakeline.core.ids import make_id, parse_id
from brakeline.platform.clock import IdMaker, SystemClock, clock_problem
from brakeline.platform.migrate import DatabaseNewer, HistoryEdited, Migration, pending
from brakeline.platform.postgres_layout import SOCKET_PATH_MAX, Layout, options
from brakeline.platform.postgres_providers import NoPostgres, find_provider
from brakeline.platform.postgres_roles import with_user

ONE, TWO = Migration(1, "one", "SELECT 1"), Migration(20, "two", "SELECT 2")


def test_what_is_pending_is_what_was_not_applied_in_order() -> None:
    assert pending((ONE, TWO), {}) == (ONE, TWO)
    assert pending((ONE, TWO), {20: TWO.sha256}) == (ONE,)  # parts number their own files
    with pytest.raises(HistoryEdited):
        pending((ONE,), {1: "other"})
    with pytest.raises(DatabaseNewer):
        pending((ONE,), {1: ONE.sha256, 2: "x"})


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://me:pw@db:5433/b?sslmode=require", "postgresql://app:s3@db:5433/b?sslmode=require"),
        ("postgresql://db/b", "postgresql://app:s3@db/b"),
        ("postgresql:///b?host=/run/x&user=me", "postgresql:/b?host=%2Frun%2Fx&user=app&password=s3"),
    ],
)
def test_an_address_for_another_user_keeps_the_rest(dsn: str, expected: str) -> None:
    assert with_user(dsn, "app", "s3").replace("postgresql:///", "postgresql:/") == expected


def test_the_socket_directory_is_near_when_its_path_fits_and_stable_when_not() -> None:
    assert Layout(Path("/short")).socket_dir == Path("/short/run")
    long = Layout(Path("/" + "x" * 120))
    assert len(str(long.socket_dir / ".s.PGSQL.5432")) <= SOCKET_PATH_MAX
    assert long.socket_dir == Layout(Path("/" + "x" * 120)).socket_dir
    assert long.socket_dir != Layout(Path("/" + "y" * 120)).socket_dir


def test_options_only_know_what_the_major_version_knows() -> None:
    assert "io_method=sync" in options(18, {})
    assert "io_method=sync" not in options(15, {})
    assert "jit=on" in options(15, {"jit": "on"})


def test_programs_that_cannot_run_are_named(tmp_path: Path) -> None:
    with pytest.raises(NoPostgres, match="cannot run"):
        find_provider(tmp_path)
    fake = tmp_path / "postgres"
    fake.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 13.4'\n")
    fake.chmod(0o755)
    with pytest.raises(NoPostgres, match="PostgreSQL 13; Brakeline needs 15"):
        find_provider(tmp_path)


def test_ids_are_of_their_kind_and_different() -> None:
    ids = IdMaker(SystemClock())
    made = {ids.new("ep") for _ in range(100)}
    assert len(made) == 100
    assert all(parse_id(i, "ep") == i for i in made)
    assert len(make_id("ep", 1 << 60, bytes(10))) == 29
    assert len(ids.secret()) == 64


def test_the_real_clock_has_no_problem_and_an_old_one_has() -> None:
    assert clock_problem(SystemClock().now_ms()) == ""
    assert "2020-09-13" in clock_problem(1_600_000_000_000)
