"""What vendors' documents cost: CPU-seconds to read one of each shape, grown to the size of large ones, in one run.

The unit is parsing the JSON (of OVAL, the XML) of the same bytes and doing nothing with it, so a figure says what
strictness and rows cost above that. Documents are built in the published shapes (tests/support_vendors.py and
support_oval.py), with as many products as a kernel's has; nothing of them is of a real package. Changelogs are those of
this machine, if it has some. `--json FILE`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.parsers import expat

from tests import support_oval as oval
from tests.support_vendors import fix, month, product, vex, within

from bench._proc import report
from bench.feeds import cpu_s
from brakeline.advisories.changelogs import NoChangelog, entries, rows
from brakeline.advisories.osv.feeds import read

PACKAGES, ARCHITECTURES = 2_000, ("src", "x86_64", "aarch64", "s390x", "ppc64le")
CVES = 120  # of a large month
ADVISORIES = 500
PRODUCTS = 60


def kernel() -> bytes:
    """A VEX that speaks of 10,000 builds in one release."""
    said, platform = vex(), "BaseOS-9.4.0.Z.MAIN"
    tree = said["product_tree"]
    tree["branches"].append(product(platform, cpe="cpe:/o:redhat:enterprise_linux:9::baseos"))
    ids = []
    for number in range(PACKAGES):
        for arch in ARCHITECTURES:
            id_ = f"kernel-part{number}-0:5.14.0-427.16.1.el9_4.{arch}"
            purl = f"pkg:rpm/redhat/kernel-part{number}@5.14.0-427.16.1.el9_4?arch={arch}"
            tree["branches"].append(product(id_, purl=purl))
            tree["relationships"].append(within(id_, platform))
            ids.append(f"{platform}:{id_}")
    said["vulnerabilities"][0]["product_status"] = {"fixed": ids}
    return json.dumps(said).encode()


def patch_day() -> bytes:
    """A month of 120 CVEs in 60 products."""
    said = month()
    names = [str(20_000 + n) for n in range(PRODUCTS)]
    said["ProductTree"]["FullProductName"] = [{"ProductID": n, "Value": f"Windows {n}"} for n in names]
    one = said["Vulnerability"][0]
    fixes = [fix(str(5_035_000 + i), f"10.0.{i}.1", str(5_034_000 + i), n) for i, n in enumerate(names)]
    status = [{"Type": 3, "ProductID": names}]
    said["Vulnerability"] = [
        one | {"CVE": f"CVE-2024-{n}", "Remediations": fixes, "ProductStatuses": status} for n in range(CVES)
    ]
    return json.dumps(said).encode()


def definitions() -> bytes:
    """A file of OVAL with 500 advisories of 15 packages each, every one asked for its version and its signature."""
    said, tests = [], []
    for number in range(ADVISORIES):
        names = [f"{number}{letter}" for letter in "abcdefghijklmno"]
        asked = [oval.all_of(oval.criterion(n), oval.criterion("1s")) for n in names]
        tree = oval.any_of(oval.NO_RELEASE, oval.all_of(oval.RELEASE, oval.any_of(*asked)))
        said.append(oval.red_hat_definition(tree, f"2024{number:04}"))
        tests += [oval.rpm(n, f"package-{n}", f"0:1.{number}-1.el8") for n in names]
    return oval.red_hat(None, *tests, definitions="".join(said))


def expat_s(data: bytes) -> float:
    """CPU-seconds of the XML parser alone, doing nothing with what it says."""

    def parsed() -> None:
        parser = expat.ParserCreate("UTF-8", " ")
        parser.StartElementHandler = parser.EndElementHandler = lambda *_: None
        parser.Parse(data, True)

    return cpu_s(parsed)


def changelogs() -> list[bytes]:
    """Of this machine's packages."""
    return [gzip.decompress(path.read_bytes()) for path in Path("/usr/share/doc").glob("*/changelog.Debian.gz")]


def walked(files: list[bytes]) -> int:
    found = 0
    for data in files:
        with suppress(NoChangelog):
            found += len(rows(entries(data)))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", default="")
    parser.parse_args()
    table: list[tuple[str, Any, str]] = []
    for feed, data in (("csaf-redhat", kernel()), ("msrc", patch_day())):
        unit_s = cpu_s(lambda d=data: json.loads(d))  # type: ignore[misc]
        spent = cpu_s(lambda d=data, f=feed: read(f, d))  # type: ignore[misc]
        count = len(read(feed, data).spans)
        table.append(
            (f"{feed}: {len(data) / 1e6:.1f} MB, {count:,} rows, CPU-s", spent, f"{spent / unit_s:.1f} x its JSON")
        )
    data = definitions()
    spent, unit_s = cpu_s(lambda: read("oval-redhat", data)), expat_s(data)
    count = len(read("oval-redhat", data).spans)
    table.append(
        (f"oval-redhat: {len(data) / 1e6:.1f} MB, {count:,} rows, CPU-s", spent, f"{spent / unit_s:.1f} x expat")
    )
    tracemalloc.start()
    read("oval-redhat", data)
    height = tracemalloc.get_traced_memory()[1]
    table.append(("and its height of memory, MB", height / 1e6, f"{height / len(data):.1f} x its bytes, beside them"))
    tracemalloc.stop()
    files = changelogs()
    if files:
        size = sum(map(len, files)) / 1e6
        table.append(
            (
                f"changelogs: {len(files):,}, {size:.0f} MB, CPU-s",
                cpu_s(lambda: walked(files)),
                f"{walked(files):,} fixes",
            )
        )
    report(table, sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
