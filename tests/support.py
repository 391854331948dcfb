"""What every suite may use: `require()` for capabilities, and where PostgreSQL's programs for tests are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


def require(condition: object, missing: str) -> None:
    """Go on if `condition` holds; else skip, naming what is missing, or fail where BRAKELINE_REQUIRE=all."""
    if condition:
        return
    if os.environ.get("BRAKELINE_REQUIRE") == "all":
        pytest.fail(f"missing, and BRAKELINE_REQUIRE=all: {missing}", pytrace=False)
    pytest.skip(f"missing: {missing}")
