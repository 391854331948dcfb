"""Samples of the page of the pool."""

from __future__ import annotations

from typing import Final

from brakeline.console.present_cells import STATES
from brakeline.console.views_pool import PartnerRow, PooledRow, PoolPage

ROWS: Final = (
    PooledRow("ro_live", "libssl3 3.0.17", STATES["rolling"], "judged together with 3 other organisations"),
    PooledRow("ro_halted", "openssl 3.0.16", STATES["halted"], "alone: it was resumed after a halt"),
)
PARTNERS: Final = (
    PartnerRow("acme", "3f2a91c07be4d518…", "4 min ago"),
    PartnerRow("zenith", "90bb12ee07c4a1f3…", "never"),
)
KEY: Final = "3f" * 32
POOLS: Final = {
    "sharing": PoolPage("since 3 h ago, by Alice and Bert", ROWS, PARTNERS, KEY, may_write=True),
    "alone": PoolPage("", key=KEY, may_write=True),
    "viewer": PoolPage("since 3 h ago, by Alice and Bert", ROWS),
}
