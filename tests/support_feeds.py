"""Small feeds in the shape in which they are published, and somebody who may import them."""

from __future__ import annotations

import json
from collections.abc import Mapping

from brakeline.advisories.importing import Importing
from brakeline.advisories.service import AdvisoriesService
from brakeline.core.clock import ManualClock
from brakeline.core.days import DAY_MS, day_of
from brakeline.platform.database import Database

CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"  # 9.8


def importing_of(database: Database, clock: ManualClock, advisories: AdvisoriesService, tenant_id: str) -> Importing:
    """Imports for `tenant_id`, which runs this installation."""

    async def first() -> str:
        return tenant_id

    return Importing(database, clock, advisories, first, {})


def day(clock: ManualClock, ago: int = 0) -> str:
    return day_of(clock.now_ms() - ago * DAY_MS)


def epss_file(clock: ManualClock, scores: Mapping[str, float], ago: int = 0) -> bytes:
    """FIRST's file of a day."""
    head = f"#model_version:v2025.03.14,score_date:{day(clock, ago)}T00:00:00Z\ncve,epss,percentile\n"
    return (head + "".join(f"{cve},{score},0.9\n" for cve, score in scores.items())).encode()


def cvss_file(clock: ManualClock, vectors: Mapping[str, str]) -> bytes:
    """Lines of vectors."""
    head = {"issued": f"{day(clock)}T00:00:00Z", "source": "NVD"}
    rows = [{"cve": cve, "vector": vector} for cve, vector in vectors.items()]
    return "\n".join(map(json.dumps, [head, *rows])).encode()


def kev_file(clock: ManualClock, cves: list[str]) -> bytes:
    """CISA's catalogue of a day."""
    entries = [{"cveID": c, "dateAdded": day(clock), "dueDate": day(clock, -20)} for c in cves]
    said = {"catalogVersion": day(clock).replace("-", "."), "dateReleased": f"{day(clock)}T14:00:00.5Z"}
    return json.dumps({**said, "count": len(entries), "vulnerabilities": entries}).encode()
