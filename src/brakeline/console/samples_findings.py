"""Samples of accepted risk and of terms."""

from __future__ import annotations

from typing import Final

from brakeline.console.present_findings import LABELS, STANDINGS
from brakeline.console.views import Link
from brakeline.console.views_findings import AcceptanceRow, AcceptancesView, TermRow, TermsView
from brakeline.exposure.acceptance import Standing
from brakeline.exposure.due import CLASSES, DEFAULT_SOURCES, DEFAULTS

CVE: Final = Link("CVE-2026-31337", "/vulnerabilities/CVE-2026-31337")
FORCE: Final = AcceptanceRow(
    "ac_01", CVE, STANDINGS[Standing.FORCE], "2026-12-20, in 24 d", Link("tag:lab", "/endpoints?q=tag%3Alab"), "3",
    "Alice and Bert, 2 d ago", "cut off from everything until the lab is rebuilt", ends=True,
)  # fmt: skip
SINCE: Final = AcceptanceRow(
    "ac_02", CVE, STANDINGS[Standing.EXPLOITED], "2027-01-15, in 50 d", Link("every endpoint", "/endpoints"), "none",
    "Alice, 12 d ago", "no route to it", "it was accepted as not known to be exploited: it counts as open", ends=True,
)  # fmt: skip
OVER: Final = AcceptanceRow(
    "ac_03", Link("CVE-2025-11477", "/vulnerabilities/CVE-2025-11477"), STANDINGS[Standing.ENDED], "2026-12-01, in 5 d",
    Link("every endpoint", "/endpoints"), "none", "Alice, 40 d ago", "waiting for the vendor",
    "the vendor has a fix, Bert, 3 d ago",
)  # fmt: skip
ACCEPTANCES: Final = {
    "some": AcceptancesView((FORCE, SINCE), may_write=True),
    "viewer": AcceptancesView((FORCE, SINCE, OVER), every=True),
    "none": AcceptancesView(()),
}
_ROWS: Final = tuple(TermRow(name, LABELS[name], getattr(DEFAULTS, name)) for name in CLASSES)
_SENTENCE: Final = (
    "4 past their day, 11 due within a week, 2 accepted wherever they can run; 312 stand open in what can run."
)
TERMS: Final = {
    "owner": TermsView(_ROWS, True, "exploited", DEFAULT_SOURCES, _SENTENCE, may_write=True),
    "viewer": TermsView(_ROWS, False, "always", DEFAULT_SOURCES, _SENTENCE),
}
