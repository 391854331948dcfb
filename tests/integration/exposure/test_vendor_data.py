"""Real inventories against the vendors' own data, read a second way: nothing missed, nothing too much.

Debian's answer is debsecan's. Where a difference appears it is a fault here or in the oracle, and the table of
`./dev bench accuracy` names the package.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from bench.accuracy import INVENTORIES, NotToBeHad, Row
from tests.support import require

LEAST = {
    "debian12-host": 5_382, "almalinux8-image": 337, "salt-pypi": 28, "prometheus-go": 68, "bat-crates": 17,
}  # fmt: skip


@pytest.mark.parametrize("of", INVENTORIES, ids=lambda of: of.__name__)
def test_precision_and_recall_of_a_real_inventory(of: Callable[[], Row]) -> None:
    require(shutil.which("rpm"), "rpm (Debian package)")
    try:
        row = of()
    except NotToBeHad as e:
        require(False, str(e))
        raise
    assert (row.ours_alone, row.vendor_alone) == ([], [])
    assert (row.precision, row.recall, row.both) == (1.0, 1.0, LEAST.get(row.inventory, row.said))
    assert row.both > 100 or row.inventory in LEAST, "a Debian of which nothing is known is one that was not read"
    assert row.assessed >= row.packages - 1  # Debian's has a backport
