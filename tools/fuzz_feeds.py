"""Feeds the readers of feeds with what libFuzzer makes of its coverage: `python tools/fuzz_feeds.py [-runs=N] CORPUS`.

Needs `atheris` (not locked: `pip install atheris`). The first byte of an input picks the feed, the rest is the file. An
empty CORPUS is filled with the samples of the tests first. Rows or `BadFeed` is right; whatever else comes out is
printed and kept by libFuzzer as `crash-…`.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

import atheris

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "src")]
with atheris.instrument_imports(include=["brakeline"]):
    from tests.support_oval import cvrf, red_hat, ubuntu
    from tests.support_vendors import ends, month, release, vex

    from brakeline.advisories.arrivals import Arrival, content
    from brakeline.advisories.importers import BadFeed

FEEDS = (
    "csaf-redhat", "csaf-suse", "csaf-opensuse", "csaf-microsoft", "msrc", "ubuntu-usn", "arch-security", "debian-dsa",
    "debian-dla", "apple-macos", "changelogs-debian-12", "end-of-life", "osv-pypi", "osv-almalinux", "rustsec",
    "debian-tracker", "alpine-v3.20-main", "epss", "cisa-kev", "cvss", "oval-redhat", "oval-ubuntu",
)  # fmt: skip


def samples() -> dict[str, list[bytes]]:
    """Feed -> files that it takes."""
    found = {"csaf-redhat": [vex()], "msrc": [month()], "end-of-life": [ends("debian", release("12", "2026-06-10"))]}
    files = {feed: [json.dumps(each).encode() for each in said] for feed, said in found.items()}
    files["csaf-suse"] = [path.read_bytes() for path in (ROOT / "tests/data/vendors").glob("suse*.json")]
    files["oval-redhat"], files["oval-ubuntu"] = [red_hat()], [ubuntu(("vim", "1", ""))]
    files["msrc"].append(cvrf())
    files["debian-dsa"] = [b"[21 Nov 2025] DSA-6061-1 x - y\n\t{CVE-2025-1}\n\t[bookworm] - x 1\n"]
    return files


def one(data: bytes) -> None:
    """What libFuzzer calls."""
    if data:
        feed = FEEDS[data[0] % len(FEEDS)]
        kind = {"epss": "epss", "cisa-kev": "kev", "cvss": "cvss", "end-of-life": "eol"}.get(feed, "osv")
        with suppress(BadFeed):
            content(Arrival(feed, kind, feed, "", "file", version="2026-11-20"), data[1:])


def main() -> None:
    corpus = next((Path(word) for word in sys.argv[1:] if not word.startswith("-")), None)
    if corpus is not None and not any(corpus.iterdir()):
        for feed, files in samples().items():
            for number, data in enumerate(files):
                (corpus / f"{feed}-{number}").write_bytes(bytes([FEEDS.index(feed)]) + data)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
