"""Samples of the page of a way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.console.present_rollback import rollback_view
from brakeline.rollout.undo import Exposed, UndoPlan

FAILED = "maintainer_script_failed: postinst of libssl3 returned 1"
GONE = "libssl3 3.0.15-1~deb12u1 cannot be had any more from this endpoint's repositories."
PLAN: Final = UndoPlan(
    "ro_halted", "openssl 3.0.17", ("libssl3 3.0.17-1~deb12u3", "openssl 3.0.17-1~deb12u3"),
    (Exposed("ep_01", "db-1", "eu", FAILED, "", "", 2), Exposed("ep_02", "db-2", "eu", FAILED, "", "", 2)),
    tuple(Exposed(f"ep_{i:02}", f"web-{i}", "us", "", "", "", 2) for i in range(3, 9)),
    (Exposed("ep_10", "edge-1", "eu", "", "gone", GONE), Exposed("ep_11", "edge-2", "eu", FAILED, "gone", GONE)), 3,
    (("canary", 1), ("proven harm", 2), ("early", 3), ("all", 8)),
)  # fmt: skip

ROLLBACKS: Final = {
    "plan": rollback_view(PLAN, may_make=True),
    "viewer": rollback_view(PLAN, may_make=False),
    "nobody": rollback_view(replace(PLAN, first=(), then=(), rings=()), may_make=True),
}
