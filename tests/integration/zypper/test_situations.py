"""Every row of zypper's table of correctness is right. Real manager, synthetic distribution."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.correctness.zypper import SITUATIONS


@pytest.mark.parametrize("name", SITUATIONS)
def test_row_is_right(name: str, tmp_path: Path) -> None:
    row = SITUATIONS[name](tmp_path)
    assert row.right, row
    assert row.truth
    assert row.ours
