"""One repository and one clone a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.aptrepo import Repository
from tests.aptroot import Clone, clone


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def endpoint() -> Iterator[Clone]:
    """A clone without any sources; `endpoint.use(repository)` gives it some."""
    with clone() as made:
        yield made
