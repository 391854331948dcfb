"""Every situation of pacman's table is told as it is: real pacman, synthetic distribution."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.correctness import pacman
from tests.correctness.row import Row


@pytest.mark.parametrize("situation", pacman.SITUATIONS, ids=lambda s: s.__name__)
def test_situation(situation: Callable[[], Row]) -> None:
    found = situation()
    assert found.ours == found.truth, f"{found.situation}: {found}"


def test_every_situation_has_a_name_of_its_own() -> None:
    names = [s.__name__ for s in pacman.SITUATIONS]
    assert len(set(names)) == len(names) >= 25
