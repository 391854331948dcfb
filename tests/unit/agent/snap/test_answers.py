"""What snapd answers, read: its documented forms, rows made up. *Not run on the real system.*"""

from __future__ import annotations

from typing import Any

import pytest

from brakeline.agent.providers.snap.answers import Snap, package, revision_of, snaps, version_of, why
from brakeline.remediation.planner import newer

ROW = {
    "name": "firefox", "revision": "3836", "version": "122.0-2", "status": "active", "channel": "stable",
    "tracking-channel": "latest/stable", "hold": "2315-01-01T00:00:00Z",
    "refresh-inhibit": {"proceed-time": "2026-12-01T10:00:00Z"}, "download-size": 7,
}  # fmt: skip


def test_snaps() -> None:
    found = snaps({"type": "sync", "result": [ROW, {"name": "half"}, 3]})
    assert found == (Snap("firefox", "3836", "122.0-2", "latest/stable", True, "2315-01-01T00:00:00Z", True, "", 7),)
    assert (found[0].shown, package(found[0]).state) == ("122.0-2+3836", "hi")
    assert package(Snap("x", "1", "1", broken="cannot find installed snap")).state == "iHR"


@pytest.mark.parametrize("answer", [{}, {"type": "error", "result": {}}, {"type": "sync", "result": None}])
def test_what_is_no_list_is_never_no_snaps(answer: dict[str, Any]) -> None:
    assert snaps(answer) is None


def test_versions_are_names_of_revisions() -> None:
    assert version_of("0+git.b31ceab-sdk0", "x1") == "0+git.b31ceab-sdk0+x1"
    assert version_of("1.0 (beta) / …", "7") == "1.0-beta+7"
    assert version_of("", "7") == "0+7"
    assert revision_of("0+git.b31ceab+12") == "12"
    assert newer("apt", "firefox:snap", "121.0+3900", "122.0+3836")  # the revision says it, not the vendor's word
    assert not newer("apt", "firefox:snap", "9+x1", "1+2")


@pytest.mark.parametrize(
    ("result", "code"),
    [({"message": "x", "kind": "network-timeout"}, "network"), ({"message": "x", "kind": "dns-failure"}, "network"),
     ({"message": 'snap "a" has "auto-refresh" change in progress', "kind": "snap-change-conflict"}, "locked"),
     ({"message": 'cannot refresh "a": snap "a" has running apps (a), pids: 12'}, "busy"),
     ({"err": "write: no space left on device"}, "no_space"), ({"kind": "odd", "message": "odd."}, "snap_failed"),
     ({}, "snap_failed"), (None, "snap_failed")],
)  # fmt: skip
def test_causes(result: object, code: str) -> None:
    told = why({"type": "error", "result": result})
    assert told.code == code
    assert told.reason.endswith(".")
    assert ".." not in told.reason
