"""A launcher in a folder of its own, a cell of its own, and a user for releases that nobody else has."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import require
from tests.support_launcher import Endpoint, endpoint, user


@pytest.fixture(scope="session")
def release_user() -> Iterator[str]:
    require(os.geteuid() == 0 and shutil.which("useradd"), "root and useradd: releases run as a user of their own")
    with user(f"bl-release-{os.getpid() % 100_000}") as name:
        yield name


@pytest.fixture
def host(tmp_path_factory: pytest.TempPathFactory, release_user: str) -> Iterator[Endpoint]:
    """An endpoint, not prepared and not started; where the releases' user can get to."""
    with tempfile.TemporaryDirectory(prefix="bl-launcher-") as name:
        base = Path(name)
        base.chmod(0o755)
        with endpoint(base, tmp_path_factory.getbasetemp() / "tls", release_user) as made:
            yield made
