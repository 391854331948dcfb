"""Files of vulnerabilities: CSV that no spreadsheet executes, a document a line, VEX that its own library reads."""

from __future__ import annotations

import csv
import io
import json

import pytest
from cyclonedx.model.bom import Bom

from brakeline.exposure.answers import Vulnerability
from brakeline.exposure.api import plain
from brakeline.exposure.exports import COLUMNS, UPDATE_COLUMNS, csv_lines, json_lines, update_lines, vex
from brakeline.exposure.priority import Facts, prioritise
from brakeline.exposure.updates_listing import UpdateGain
from brakeline.fleet.model import FleetUpdate

NOW = "2026-11-26T12:00:00Z"


def one(cve: str, states: dict[str, int], *, carriers: int = 0, **more: object) -> Vulnerability:
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    return Vulnerability(
        cve, False, "", ("curl", "=cmd|x"), {"curl": "2.0-1", "=cmd|x": ""}, sum(states.values()), carriers, states,
        prioritise(Facts()), 0.5, 9.8, vector, **more,  # type: ignore[arg-type]
    )  # fmt: skip


ITEMS = [
    one(
        "CVE-2026-1",
        {"fixable_now": 3, "blocked": 1},
        accepted=1,
        accepted_until_ms=1_795_400_000_000,
        due="2026-12-01",
    ),
    one("CVE-2026-2", {"no_fix": 2}, overdue_days=4, due="2026-11-22"),
    one("CVE-2026-3", {"unknown": 1}),
    one("CVE-2026-4", {}, carriers=7),
    one("CVE-2026-5", {"fixable_now": 1}, accepted=1, accepted_whole=True, accepted_until_ms=1_795_400_000_000),
]


def test_csv_has_a_line_each_and_no_formula() -> None:
    rows = list(csv.DictReader(io.StringIO("".join(csv_lines(ITEMS)))))
    assert [r["cve"] for r in rows] == [v.cve for v in ITEMS]
    assert (rows[0]["endpoints"], rows[0]["accepted"], rows[0]["fixable_now"]) == ("4", "1", "3")
    assert rows[0]["accepted_until"].startswith("2026-")
    assert rows[1]["overdue_days"] == "4"
    assert tuple(rows[0]) == COLUMNS
    evil = ITEMS[0].__class__(**{**plain(ITEMS[0]), "sources": ("=HYPERLINK(1)",), "priority": ITEMS[0].priority})
    (cells,) = list(csv.DictReader(io.StringIO("".join(csv_lines([evil])))))
    assert cells["sources"] == "'=HYPERLINK(1)"


def test_updates_have_a_line_each_and_no_formula() -> None:
    gain = UpdateGain(FleetUpdate("=libssl3", "3.0-2", "Debian-Security", True, 9, 8, "openssl"), 4, 1, 2, 7, 3, "act")
    (row,) = list(csv.DictReader(io.StringIO("".join(update_lines([gain])))))
    assert tuple(row) == UPDATE_COLUMNS
    assert tuple(row.values()) == (
        "'=libssl3", "3.0-2", "openssl", "Debian-Security", "yes", "act", "4", "1", "2", "9", "8", "7", "3",
    )  # fmt: skip
    (line,) = json_lines([gain], plain)
    assert json.loads(line)["update"]["name"] == "=libssl3"


def test_lines_are_what_the_api_shows() -> None:
    lines = "".join(json_lines(ITEMS, plain)).splitlines()
    assert [json.loads(line)["cve"] for line in lines] == [v.cve for v in ITEMS]
    assert json.loads(lines[0])["priority"]["level"] == "unrated"


@pytest.mark.filterwarnings("ignore")
def test_vex_is_read_by_the_library_of_its_standard() -> None:
    document = vex(ITEMS, ["EPSS is not known."], NOW, "1.0")
    read = Bom.from_json(json.loads(json.dumps(document)))  # type: ignore[attr-defined]
    found = {str(v.id): v for v in read.vulnerabilities}
    assert set(found) == {v.cve for v in ITEMS}
    states = {cve: v.analysis.state.value for cve, v in found.items()}
    assert states == {
        "CVE-2026-1": "exploitable", "CVE-2026-2": "exploitable", "CVE-2026-3": "in_triage",
        "CVE-2026-4": "not_affected", "CVE-2026-5": "exploitable",
    }  # fmt: skip
    answers = {cve: [r.value for r in v.analysis.responses] for cve, v in found.items()}
    assert (answers["CVE-2026-1"], answers["CVE-2026-2"]) == (["update"], ["can_not_fix"])
    assert answers["CVE-2026-5"] == ["will_not_fix"]
    assert {t.ref for t in found["CVE-2026-1"].affects} == {str(c.bom_ref) for c in read.components}
    assert next(iter(found["CVE-2026-1"].ratings)).method.value == "CVSSv31"


def test_the_same_content_has_the_same_serial_number() -> None:
    first, again = vex(ITEMS, [], NOW, "1.0"), vex(ITEMS, [], "2026-11-27T12:00:00Z", "1.0")
    assert first["serialNumber"] == again["serialNumber"]
    assert first["serialNumber"] != vex(ITEMS[1:], [], NOW, "1.0")["serialNumber"]
