"""Bytes of a CVSS feed -> severities, checked and bounded; pure. CVSS 2.0, 3.0, 3.1 and 4.0.

Two shapes: NVD's JSON (`"format": "NVD_CVE"`, version 2.0 of its API and yearly files), of which only ids and vectors
are read; and lines, for everybody else: a head `{"issued": "2026-11-20T00:00:00Z", "source": "…"}`, then one
`{"cve": …, "vector": …}` a line. Invariants: scores are computed from vectors by the library `cvss`, never copied; one
vector a CVE (newest version of the standard, the feed's primary source, the highest score); one bad entry refuses the
whole file and is numbered. Server only: the command line does not pay for these imports.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import msgspec
from cvss import CVSS2, CVSS3, CVSS4, CVSSError

from brakeline.advisories.importers import CVE, ROWS_MAX, BadFeed, issued_at, json_lines
from brakeline.advisories.model import Severity
from brakeline.advisories.texts import encodable

VECTOR_CHARS_MAX: Final = 200
SOURCE_CHARS_MAX: Final = 100
VERSIONS: Final = ("2.0", "3.0", "3.1", "4.0")  # the later the better
PRIMARY: Final = "Primary"


class BadVector(ValueError):
    """This is no CVSS vector."""


class CvssFile(msgspec.Struct, frozen=True):
    """What a file says, and when it was issued."""

    issued: str
    rows: list[Severity]


class _Data(msgspec.Struct, rename="camel"):
    vector_string: str


class _Metric(msgspec.Struct, rename="camel"):
    cvss_data: _Data
    source: str = ""
    type: str = ""


class _Metrics(msgspec.Struct, rename="camel"):
    cvss_metric_v40: list[_Metric] = []
    cvss_metric_v31: list[_Metric] = []
    cvss_metric_v30: list[_Metric] = []
    cvss_metric_v2: list[_Metric] = []


class _Cve(msgspec.Struct):
    id: str
    metrics: _Metrics = msgspec.field(default_factory=_Metrics)


class _Item(msgspec.Struct):
    cve: _Cve


class _Nvd(msgspec.Struct):
    format: str
    timestamp: str
    vulnerabilities: list[_Item]


def is_nvd(data: bytes) -> bool:
    """Whether this is NVD's JSON and not lines."""
    return b'"NVD_CVE"' in data[:4096]


@lru_cache(maxsize=65536)
def scored(vector: str) -> tuple[str, float]:
    """(version, base score) of a vector. Raises `BadVector`."""
    if len(vector) > VECTOR_CHARS_MAX:
        raise BadVector(f"longer than {VECTOR_CHARS_MAX} characters")
    try:
        if vector.startswith("CVSS:4.0/"):
            return "4.0", float(CVSS4(vector).base_score)
        if vector.startswith(("CVSS:3.0/", "CVSS:3.1/")):
            return vector[5:8], float(CVSS3(vector).base_score)
        return "2.0", float(CVSS2(vector).base_score)
    except CVSSError as e:
        raise BadVector(str(e)[:100]) from None


def severity(cve: str, vector: str, source: str) -> Severity:
    """One row. Raises `BadVector` for an id or a vector that is none."""
    if not CVE.fullmatch(cve):
        raise BadVector(f"no CVE id: {cve[:40]}")
    version, score = scored(vector)
    try:
        return Severity(cve, vector, version, score, encodable(source[:SOURCE_CHARS_MAX], "who scored it"))
    except ValueError as e:
        raise BadVector(str(e)) from None


def cvss(data: bytes, name: str) -> CvssFile:
    """The severities of a file, unpacked. Raises `BadFeed`, which numbers the entry or line that is wrong."""
    found = _nvd(data, name) if is_nvd(data) else _lines(data, name)
    if not 0 < len(found.rows) <= ROWS_MAX:
        raise BadFeed(f"expected 1 to {ROWS_MAX} CVEs with a vector", file=name, rows=len(found.rows))
    return found


def preferred(candidates: list[tuple[bool, Severity]]) -> Severity:
    """Of (primary source?, row): newest version of the standard, then primary, then the highest score."""
    return max(candidates, key=lambda c: (VERSIONS.index(c[1].version), c[0], c[1].score, c[1].vector))[1]


def _nvd(data: bytes, name: str) -> CvssFile:
    try:
        document = msgspec.json.decode(data, type=_Nvd)
    except (ValueError, RecursionError) as e:  # and bytes that are no text
        raise BadFeed("this is not NVD's JSON of version 2.0", file=name, error=str(e)[:120]) from None
    issued = issued_at(document.timestamp)
    if not issued:
        raise BadFeed("it does not say when it was issued (timestamp)", file=name)
    found: dict[str, Severity] = {}
    for number, item in enumerate(document.vulnerabilities, 1):
        try:
            rows = [(m.type == PRIMARY, severity(item.cve.id, m.cvss_data.vector_string, m.source))
                    for m in _metrics(item.cve.metrics)]  # fmt: skip
        except BadVector as e:
            raise BadFeed(f"entry {number}: {e}", file=name, cve=item.cve.id[:40]) from None
        if item.cve.id in found:
            raise BadFeed(f"entry {number} stands there twice", file=name, cve=item.cve.id)
        if rows:
            found[item.cve.id] = preferred(rows)
    return CvssFile(issued, list(found.values()))


def _metrics(m: _Metrics) -> list[_Metric]:
    return [*m.cvss_metric_v40, *m.cvss_metric_v31, *m.cvss_metric_v30, *m.cvss_metric_v2]


def _lines(data: bytes, name: str) -> CvssFile:
    head, *rows = json_lines(data, name) or [{}]
    issued, source = issued_at(str(head.get("issued", ""))), str(head.get("source", ""))
    if not issued:
        raise BadFeed('line 1 does not say when it was issued, such as {"issued":"2026-11-20T00:00:00Z"}', file=name)
    found: dict[str, Severity] = {}
    for number, row in enumerate(rows, 2):
        cve, vector = row.get("cve"), row.get("vector")
        if type(cve) is not str or type(vector) is not str:
            raise BadFeed(f"line {number} misses cve or vector", file=name)
        if cve in found:
            raise BadFeed(f"line {number}: {cve[:40]} stands there twice", file=name)
        try:
            found[cve] = severity(cve, vector, source)
        except BadVector as e:
            raise BadFeed(f"line {number}: {e}", file=name, cve=cve[:40]) from None
    return CvssFile(issued, list(found.values()))
