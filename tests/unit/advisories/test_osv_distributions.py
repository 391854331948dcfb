"""OSV documents of Rocky Linux and Ubuntu, in their published shapes: how they name releases, epochs and pockets."""

from __future__ import annotations

import json
from typing import Any

from brakeline.advisories.osv.feeds import read
from brakeline.advisories.osv.questions import page, question

AT = {"modified": "2025-07-14T10:00:00Z", "published": "2025-07-13T10:00:00Z", "schema_version": "1.7.0"}


def affected(ecosystem: str, name: str, fixed: str | None, **more: Any) -> dict[str, Any]:
    events = [{"introduced": "0"}, *([{"fixed": fixed}] if fixed else [])]
    ranges = [{"type": "ECOSYSTEM", "events": events, "database_specific": {"yum_repository": "BaseOS"}}]
    return {"package": {"ecosystem": ecosystem, "name": name, "purl": f"pkg:x/{name}"}, "ranges": ranges, **more}


ROCKY = {
    "id": "RLSA-2025:0001", "aliases": [], "upstream": ["CVE-2025-1"], "related": [], **AT,
    "affected": [affected("Rocky Linux:9", "bind", "32:9.16.23-18.el9_4.6"),
                 affected("Rocky Linux:8", "bind", "32:9.11.36-16.el8_10.4")],
}  # fmt: skip
UBUNTU = {
    "id": "UBUNTU-CVE-2025-6491", "aliases": [], "upstream": ["CVE-2025-6491"], "related": ["USN-7648-1"], **AT,
    "affected": [
        affected("Ubuntu:22.04:LTS", "php8.1", "8.1.2-1ubuntu2.22", versions=["8.1.2-1ubuntu2.21"],
                 ecosystem_specific={"ubuntu_priority": "medium", "binaries": [{"binary_name": "php8.1-cli"}]}),
        affected("Ubuntu:Pro:18.04:LTS", "php7.2", "7.2.24-0ubuntu0.18.04.17+esm9"),
        affected("Ubuntu:25.10", "php8.4", None),
    ],
}  # fmt: skip


def answers(feed: str, document: dict[str, Any], ecosystem: str, name: str, version: str) -> list[str]:
    asked = question({"package": {"ecosystem": ecosystem, "name": name}, "version": version})
    rows = read(feed, json.dumps(document).encode()).spans
    mine = [r for r in rows if (r.ecosystem, r.name) == (asked.ecosystem, asked.name)]
    return [found[0].id for found in page(asked, mine).found]


def test_rocky_linux_by_major_release_with_its_epochs() -> None:
    assert answers("osv-rocky-linux", ROCKY, "Rocky Linux:9.4", "bind", "32:9.16.23-18.el9_4.5") == ["RLSA-2025:0001"]
    assert answers("osv-rocky-linux", ROCKY, "Rocky Linux:9", "bind", "32:9.16.23-18.el9_4.6") == []
    assert answers("osv-rocky-linux", ROCKY, "Rocky Linux:8.10", "bind", "32:9.11.36-16.el8_10.4") == []


def test_ubuntu_by_release_its_pro_apart_and_what_is_open() -> None:
    name = "UBUNTU-CVE-2025-6491"
    assert answers("osv-ubuntu", UBUNTU, "Ubuntu:22.04:LTS", "php8.1", "8.1.2-1ubuntu2.21") == [name]
    assert answers("osv-ubuntu", UBUNTU, "Ubuntu:22.04:LTS", "php8.1", "8.1.2-1ubuntu2.22") == []
    assert answers("osv-ubuntu", UBUNTU, "Ubuntu:18.04:LTS", "php7.2", "7.2.24-0ubuntu0.18.04.17") == []
    assert answers("osv-ubuntu", UBUNTU, "Ubuntu:Pro:18.04:LTS", "php7.2", "7.2.24-0ubuntu0.18.04.17") == [name]
    assert answers("osv-ubuntu", UBUNTU, "Ubuntu:25.10", "php8.4", "99") == [name]
