"""Feeds the readers of feeds, bills and VEX with what libFuzzer makes of its coverage: `./dev fuzz feeds [CORPUS]`.

Needs `atheris` (requirements/fuzz.lock). The first byte of an input picks the reader, the rest is the file. An empty
CORPUS is filled with the samples and the real files of the tests first. Two of three inputs that are JSON are changed
as trees (a value taken out, doubled, put elsewhere, made another kind of thing), the others as bytes. Rows or `BadFeed`
(of a bill: `BadBill`) is right, and every text of them can be stored; whatever else comes out is printed and kept by
libFuzzer as `crash-…`, and what takes over ten seconds as `timeout-…`.
"""

from __future__ import annotations

import json
import random
import sys
from contextlib import suppress
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
with atheris.instrument_imports(include=["brakeline"]):
    from tests.support_bent import bent, kept
    from tests.support_oval import cvrf, red_hat, ubuntu
    from tests.support_vendors import ends, month, release, vex

    from brakeline.advisories.arrivals import Arrival, content
    from brakeline.advisories.importers import BadFeed, unpacked
    from brakeline.sbom import reading
    from brakeline.sbom import vex as statements
    from brakeline.sbom.model import BadBill

BILL, VEX = "bill", "vex"  # no feeds: files that people bring
FEEDS = (
    "csaf-redhat", "csaf-suse", "csaf-opensuse", "csaf-microsoft", "msrc", "ubuntu-usn", "arch-security", "debian-dsa",
    "debian-dla", "apple-macos", "changelogs-debian-12", "end-of-life", "osv-pypi", "osv-almalinux", "rustsec",
    "debian-tracker", "alpine-v3.20-main", "epss", "cisa-kev", "cvss", "oval-redhat", "oval-ubuntu", "osv-npm",
    "osv-maven", "alpine-v3.11-main", BILL, VEX,
)  # fmt: skip
REAL = {  # feed -> beginnings of the names of real files in tests/data/feeds
    "csaf-redhat": "csaf-rhsa-2024_1431", "osv-npm": "osv-github", "osv-maven": "osv-github", "cvss": "nvd-page",
    "epss": "epss-", "cisa-kev": "kev-", "debian-tracker": "debian-tracker", "debian-dsa": "debian-dsa",
    "alpine-v3.11-main": "alpine-v3.11", "arch-security": "arch-", "ubuntu-usn": "ubuntu-usn", "oval-ubuntu": "oval-",
    "apple-macos": "sofa-", BILL: "spdx3-", VEX: ("openvex-", "spdx3-vex"),
}  # fmt: skip


def samples() -> dict[str, list[bytes]]:
    """Feed -> files that it takes."""
    found = {"csaf-redhat": [vex()], "msrc": [month()], "end-of-life": [ends("debian", release("12", "2026-06-10"))]}
    files = {feed: [json.dumps(each).encode() for each in said] for feed, said in found.items()}
    files["csaf-suse"] = [path.read_bytes() for path in (ROOT / "tests/data/vendors").glob("suse*.json")]
    files["oval-redhat"], files["oval-ubuntu"] = [red_hat()], [ubuntu(("vim", "1", ""))]
    files["msrc"].append(cvrf())
    for path in sorted((ROOT / "tests/data/feeds").iterdir()):
        for feed, begins in REAL.items():
            if path.name.startswith(begins):
                files.setdefault(feed, []).append(unpacked(path.read_bytes(), feed))
    return files


def one(data: bytes) -> None:
    """What libFuzzer calls."""
    if not data:
        return
    feed = FEEDS[data[0] % len(FEEDS)]
    with suppress(BadFeed, BadBill):
        if feed in (BILL, VEX):
            kept((reading if feed == BILL else statements).read(data[1:]))
        else:
            kind = {"epss": "epss", "cisa-kev": "kev", "cvss": "cvss", "end-of-life": "eol"}.get(feed, "osv")
            kept(content(Arrival(feed, kind, feed, "", "file", version="2026-11-20"), data[1:]))


def changed(data: bytes, most: int, seed: int) -> bytes:
    """How libFuzzer makes one input of another."""
    draw = random.Random(seed)  # the fuzzer's own seed: a run can be repeated
    if draw.random() < 1 / 3 or len(data) < 2:
        return bytes(atheris.Mutate(data, most))
    try:
        tree = json.loads(data[1:])
    except (ValueError, RecursionError):
        return bytes(atheris.Mutate(data, most))
    for _ in range(draw.randint(1, 3)):
        tree = bent(tree, draw)
    made = data[:1] + json.dumps(tree).encode("utf-8", "surrogatepass")
    return made if len(made) <= most else data


def main() -> None:
    corpus = next((Path(word) for word in sys.argv[1:] if not word.startswith("-")), None)
    if corpus is not None and not any(corpus.iterdir()):
        for feed, files in samples().items():
            for number, data in enumerate(files):
                (corpus / f"{feed}-{number}").write_bytes(bytes([FEEDS.index(feed)]) + data)
    atheris.Setup([*sys.argv, "-timeout=10"], one, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
