"""Samples of exposure over time and of updates."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.console.present_risk import exposure_row
from brakeline.console.present_updates import HOLDS, followed_row, gain_row, trend_view, updates_refused, updates_view
from brakeline.console.views import Link
from brakeline.console.views_findings import KeptOutRow, PendingRow, UpdateView
from brakeline.core.errors import Invalid
from brakeline.exposure.answers import Vulnerability
from brakeline.exposure.times import ExposureDay, Followed
from brakeline.exposure.trend import TimeRow
from brakeline.exposure.updates import UpdatePage
from brakeline.exposure.updates_listing import UpdateGain
from brakeline.fleet.model import FleetUpdate
from brakeline.protocol.messages import UpdateState

DAYS: Final = tuple(
    ExposureDay(f"2026-{10 + i // 30:02}-{1 + i % 30:02}", 1200, 1190 + i % 9, 700 - 8 * i, 420 - 5 * i + (i % 7) * 6,
                max(0, 5 - i // 8), max(0, 40 - i), 3 + i // 12)
    for i in range(57)
)  # fmt: skip
TIMES: Final = (
    TimeRow("exploited", 0, 12, 20.5, 24.0, 48.0, 3.0, 6.5, 14.0, 0),
    TimeRow("exploited", 2, 880, 61.0, 96.0, 168.0, 3.0, 7.1, 53.9, 2),
    TimeRow("high", -1, 41, 900.0, 1440.0, None, 400.0, None, None, 5),
    TimeRow("low", 0, 0, None, None, None, None, None, None, 1),
)
PYPI: Final = "ecosystem:pypi priority:act"
OF_PYPI: Final = tuple(
    d._replace(cves=d.cves // 9, kev=d.kev // 2, overdue=d.overdue // 5, accepted=0) for d in DAYS[20:]
)
FOLLOWED: Final = tuple(
    followed_row(one, PYPI, 90)
    for one in (Followed(PYPI, OF_PYPI[0].day, "Olga"), Followed("kev:yes", OF_PYPI[0].day, "token nightly"))
)
TRENDS: Final = {
    "months": trend_view(DAYS, TIMES, 90),
    "first day": trend_view(DAYS[:1], (), 30),
    "empty": trend_view((), (), 90),
    "of a filter": replace(trend_view(OF_PYPI, TIMES, 90), of=PYPI, followed=FOLLOWED, may_follow=True),
    "refused": replace(
        trend_view(DAYS, TIMES, 90),
        followed=FOLLOWED,
        may_follow=True,
        typed="prio:act",
        error="unknown key 'prio'; did you mean 'priority'?",
    ),
}
OPENSSL: Final = UpdateGain(
    FleetUpdate("libssl3", "3.0.17-1~deb12u3", "Debian-Security:12/oldstable-security", True, 1204, 1190, "openssl"),
    4, 1, 1, 1190, 4, "act",
)  # fmt: skip
BASH: Final = UpdateGain(
    FleetUpdate("bash", "5.2.15-2+b9", "Debian:12.15/oldstable", False, 40, 40, "bash"), 0, 0, 0, 0, 0
)
UPDATE_LISTS: Final = {
    "some": updates_view(UpdatePage((OPENSSL, BASH), 2, 2), ""),
    "no match": updates_view(UpdatePage((), 0, 2), "nginx"),
    "refused": updates_refused("prioriti:act", Invalid("unknown key 'prioriti'; did you mean 'priority'?")),
    "none": updates_view(UpdatePage((), 0, 0), ""),
}
CLOSED: Final = Vulnerability(
    "CVE-2026-31337", True, "2026-12-10", ("openssl",), {"openssl": "3.0.17-1~deb12u3"}, 1204, 0,
    {"fixable_now": 1190, "blocked": 14}, epss=0.944, cvss=9.8, due="2026-12-03",
)  # fmt: skip
UPDATE: Final = {
    "held": UpdateView(
        "libssl3", "pending on 1,204 endpoints", (gain_row(OPENSSL),), (exposure_row(CLOSED),),
        "4 CVEs. The updates of openssl close them together.",
        (PendingRow(Link("web-01.corp.example", "/endpoints/ep_01"), "3.0.15-1~deb12u1 → 3.0.17-1~deb12u3",
                    HOLDS[UpdateState.HELD], "held by the administrator"),
         PendingRow(Link("db-02.corp.example", "/endpoints/ep_02"), "3.0.15-1~deb12u1 → 3.0.17-1~deb12u3",
                    HOLDS[UpdateState.AVAILABLE], "")),
        "/rollouts/new?selection=names&names=libssl3",
        (KeptOutRow("3.0.16-1~deb12u1", "was declined by Ann: breaks the till's printer", by_people=True),
         KeptOutRow("3.0.17-1~deb12u2", "is quarantined by a halted rollout", by_people=False,
                    rollout=Link("that rollout", "/rollouts/ro_halted"))),
        ("3.0.17-1~deb12u3",), may_allow=True,
    ),
    "no cve": UpdateView("bash", "pending on 40 endpoints", (gain_row(BASH),), (), "0 CVEs.", ()),
}  # fmt: skip
