"""Samples of the page of the pool."""

from __future__ import annotations

from typing import Final

from brakeline.console.present_cells import STATES
from brakeline.console.views_pool import PooledRow, PoolPage

ROWS: Final = (
    PooledRow("ro_live", "libssl3 3.0.17", STATES["rolling"], "judged together with 3 other organisations"),
    PooledRow("ro_halted", "openssl 3.0.16", STATES["halted"], "alone: it was resumed after a halt"),
)
POOLS: Final = {
    "sharing": PoolPage("since 3 h ago, by Alice and Bert", ROWS, may_write=True),
    "alone": PoolPage("", may_write=True),
    "viewer": PoolPage("since 3 h ago, by Alice and Bert", ROWS),
}
