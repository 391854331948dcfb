"""EPSS and KEV files: what is read, and what is refused with its line."""

from __future__ import annotations

import contextlib
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.importers import BadFeed, issued_at, known_exploited, unpacked
from brakeline.advisories.model import Epss
from brakeline.advisories.scores import epss, is_epss

HEAD = "#model_version:v2025.03.14,score_date:2026-11-20T00:00:00Z\ncve,epss,percentile\n"
ROWS = "CVE-1999-0001,0.0046,0.7385\nCVE-2021-44228,0.94358,0.99962\n"
KEV: dict[str, Any] = {
    "catalogVersion": "2026.11.20", "dateReleased": "2026-11-20T14:00:41.3132Z", "count": 1,
    "vulnerabilities": [{
        "cveID": "CVE-2021-44228", "dateAdded": "2021-12-10", "dueDate": "2021-12-24", "vendorProject": "Apache",
        "product": "Log4j2", "vulnerabilityName": "Log4Shell", "knownRansomwareCampaignUse": "Known",
    }],
}  # fmt: skip


def kev(**entry: object) -> bytes:
    """The catalogue with one field of its entry changed."""
    return json.dumps({**KEV, "vulnerabilities": [{**KEV["vulnerabilities"][0], **entry}]}).encode()


def test_a_day_s_scores_with_model_and_date() -> None:
    found = epss((HEAD + ROWS).encode(), "e.csv")
    assert (found.model, found.issued) == ("v2025.03.14", "2026-11-20T00:00:00Z")
    assert found.rows == [Epss("CVE-1999-0001", 0.0046, 0.7385), Epss("CVE-2021-44228", 0.94358, 0.99962)]


def test_it_is_read_as_it_is_published_packed_with_gzip() -> None:
    packed = gzip.compress((HEAD + ROWS).encode())
    assert is_epss(unpacked(packed, "e.csv.gz"))
    assert len(epss(unpacked(packed, "e.csv.gz"), "e").rows) == 2


@pytest.mark.parametrize("date", ["2026-11-20T00:00:00+0000", "2026-11-20T00:00:00.000Z", "2026-11-20T00:00:00"])
def test_the_date_as_it_was_written_over_the_years(date: str) -> None:
    assert issued_at(date) == "2026-11-20T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "line 1 does not say"),
        ("cve,epss,percentile\n" + ROWS, "line 1 does not say"),
        ("#model_version:v1,score_date:yesterday\ncve,epss,percentile\n" + ROWS, "line 1 does not say"),
        (HEAD, "line 2 is not cve,epss,percentile, with a score below it"),
        (HEAD.replace("cve,", "id,") + ROWS, "line 2 is not"),
        (HEAD + ROWS + "CVE-2021-44228,0.1,0.1\n", "line 5: CVE-2021-44228 stands there twice"),
        (HEAD + "<html>503</html>\n", "line 3 begins with no CVE id"),
        (HEAD + ROWS + "\n", "line 5 begins with no CVE id"),
        (HEAD + "CVE-2024-1,1.01,0.5\n", "line 3: a probability"),
        (HEAD + "CVE-2024-1,-0.1,0.5\n", "line 3: a probability"),
        (HEAD + "CVE-2024-1,nan,0.5\n", "line 3: a probability"),
        (HEAD + "CVE-2024-1,0_1,0.5\n", "line 3: a probability"),
        (HEAD + "CVE-2024-1,0.5\n", "line 3: a probability"),
        (HEAD + "CVE-2024-1,0.5,0.5,0.5\n", "line 3: a probability"),
        (HEAD + ROWS + "CVE-2024-1,0.5,½\n", "line 5 has bytes"),
    ],
)
def test_a_bad_line_refuses_the_file_and_is_numbered(text: str, says: str) -> None:
    with pytest.raises(BadFeed, match=says.replace("(", r"\(")):
        epss(text.encode(), "e.csv")


def test_a_gzip_that_unfolds_too_far_is_cut_short_or_damaged_is_refused() -> None:
    bomb = gzip.compress(b"0" * 10_000_000)
    with pytest.raises(BadFeed, match="more than 1000000 bytes when unpacked"):
        unpacked(bomb, "bomb", 1_000_000)
    with pytest.raises(BadFeed, match="more than 1000 bytes"):
        unpacked(gzip.compress(b"0" * 600) * 2, "two members", 1000)
    with pytest.raises(BadFeed, match="ends too soon"):
        unpacked(bomb[:-9], "short")
    with pytest.raises(BadFeed, match="damaged"):
        unpacked(gzip.compress(b"x" * 999)[:30] + b"\xff" * 30, "damaged")
    assert unpacked(gzip.compress(b"a") + gzip.compress(b"b"), "two members") == b"ab"


@given(st.binary(max_size=300) | st.text(max_size=80).map(lambda t: (HEAD + t).encode()))
def test_whatever_comes_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(BadFeed):
        assert epss(data, "x").rows


def test_the_catalogue_with_dates_due_and_ransomware() -> None:
    found = known_exploited(kev(), "k.json")
    (entry,) = found.entries
    assert (found.version, found.issued) == ("2026.11.20", "2026-11-20T14:00:41Z")
    assert (entry.cve, entry.added, entry.due, entry.ransomware) == ("CVE-2021-44228", "2021-12-10", "2021-12-24", True)
    assert not known_exploited(kev(knownRansomwareCampaignUse="Unknown"), "k").entries[0].ransomware


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"[]", "not CISA's catalogue"),
        (b'{"vulnerabilities": 3, "catalogVersion": "1"}', "not CISA's catalogue"),
        (b'{"vulnerabilities": [], "catalogVersion": "1"}', "not complete"),
        (json.dumps({**KEV, "count": 2}).encode(), "not complete"),
        (kev(cveID="GHSA-1"), "entry 1 misses or garbles a field.*no CVE id"),
        (kev(cveID=7), "entry 1 misses or garbles"),
        (kev(dueDate="soon"), "entry 1 misses or garbles a field.*are days"),
        (kev(vendorProject=None), "entry 1 misses or garbles"),
        (json.dumps({**KEV, "count": 2, "vulnerabilities": KEV["vulnerabilities"] * 2}).encode(), "entry 2 .*twice"),
        (json.dumps({**KEV, "vulnerabilities": ["x"]}).encode(), "entry 1 misses"),
    ],
)
def test_a_bad_entry_refuses_the_catalogue_and_is_numbered(data: bytes, says: str) -> None:
    with pytest.raises(BadFeed, match=says):
        known_exploited(data, "k.json")
