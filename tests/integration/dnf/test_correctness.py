"""Each row of dnf's correctness table is right: real dnf and rpm, a root of packages built here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.correctness.dnf import SITUATIONS, Row


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.__name__)
def test_row(situation: Callable[[Path], Row], tmp_path: Path) -> None:
    found = situation(tmp_path)
    assert found.right, found


def test_names_are_told_apart() -> None:
    assert len({s.__name__ for s in SITUATIONS}) == len(SITUATIONS) >= 20
