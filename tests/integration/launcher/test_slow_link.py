"""Behind a slow line a release arrives over several looks, and no download keeps a recall from being heard."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

import pytest
from tests.support_launcher import GOOD, Endpoint, release_bytes
from tests.support_trust import bundle

from brakeline.launcher.download import FOLDER

BIG = 2 << 20
LINE = {"check_s": 4}  # a look has 3.6 s, and half of it at most for the bytes: over the line below none is long enough
BYTES_PER_S = 480 * 1024


def big(version: str, sequence: int) -> bytes:
    """A release of 2 MiB that no line makes smaller."""
    program = GOOD.replace("{version!r}", repr(version)).encode()
    return bundle(version, {"agent.pyz": program, "filler": random.Random(7).randbytes(BIG)}, sequence)


def begin(host: Endpoint) -> tuple[str, str]:
    """(what runs, what is offered and big)."""
    host.knobs |= LINE
    baseline = host.prepare(release_bytes("1.0.0"))
    two = host.cell.repository.publish("2.0.0", big("2.0.0", 2), 2)
    host.cell.repository.offer(two)
    return baseline, two


class Line:
    """The cell's releases over a slow line. `sent`: [offset, bytes] of each answer. `spoil`: what a chunk becomes."""

    def __init__(self, host: Endpoint, bytes_per_s: int, *, ranges: bool = True) -> None:
        self.host, self.bytes_per_s, self.ranges = host, bytes_per_s, ranges
        self.sent: list[list[int]] = []
        self.spoil: Callable[[bytes], bytes] = lambda chunk: chunk
        host.cell.misbehave = self.answer

    def answer(self, request: BaseHTTPRequestHandler) -> bool:
        path = urlsplit(request.path).path
        if not path.startswith("/trust/v1/targets/"):
            return False
        data = self.host.cell.repository.blobs[path.rpartition("/")[2]]
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", "")) if self.ranges else None
        start = int(asked[1]) if asked else 0
        request.send_response(206 if asked else 200)
        if asked:
            request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        self.sent.append([start, 0])
        mine = self.sent[-1]
        step = max(1, self.bytes_per_s // 10)
        for at in range(start, len(data), step):
            chunk = data[at : at + step]
            request.wfile.write(self.spoil(chunk))
            mine[1] += len(chunk)
            time.sleep(0.1)
        return True


def pieces(host: Endpoint) -> list[str]:
    """What lies there of a download that is under way."""
    folder = host.root / FOLDER
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()) if folder.exists() else []


@pytest.mark.long
def test_a_release_that_takes_longer_than_a_look_arrives_over_several(host: Endpoint) -> None:
    baseline, two = begin(host)
    line = Line(host, BYTES_PER_S)
    host.start()
    host.until_running(baseline)
    host.until(lambda: any("download" in p for p in host.report().problems), what="how far it is, in the report")
    assert re.search(r"download: 2\.0\.0-\w+: \d+ of \d+ KiB are here", " ".join(host.report().problems))
    host.until_confirmed(two, 120)
    assert host.record().attempt(two).runs == 1
    starts = [start for start, _ in line.sent]
    assert starts == sorted(starts), "none began before where one ended"
    assert starts[-1] > 0
    assert not pieces(host), "nothing of it is kept once it is unpacked"


@pytest.mark.long
def test_power_cuts_between_two_pieces_cost_bytes_alone(host: Endpoint) -> None:
    """A piece is shorter than it was, and nothing but zeros: the hash notices, and all of it comes anew."""
    baseline, two = begin(host)
    Line(host, BYTES_PER_S)
    host.start()
    host.until_running(baseline)
    host.until(lambda: pieces(host), what="a first piece")
    host.stop()
    piece = host.root / FOLDER / pieces(host)[0]
    piece.write_bytes(bytes(piece.stat().st_size - 7))
    host.start()
    host.until(lambda: any(p.startswith("hash:") for p in host.report().problems), 60, "that the hash is wrong")
    host.until_confirmed(two, 120)
    assert host.record().attempt(two).runs == 1


@pytest.mark.long
def test_a_cell_or_proxy_that_knows_no_ranges_is_heard_out_where_the_line_allows_it(host: Endpoint) -> None:
    baseline, two = begin(host)
    line = Line(host, BYTES_PER_S, ranges=False)
    host.start()
    host.until_running(baseline)
    host.until(lambda: len(line.sent) > 2, 60, "three looks")
    assert (host.report().running, host.runs("2.0.0")) == (baseline, 0)
    line.bytes_per_s = 100 * BYTES_PER_S
    host.until_confirmed(two, 60)


@pytest.mark.long
def test_what_a_thief_puts_into_the_line_is_thrown_away_and_fetched_again(host: Endpoint) -> None:
    baseline, two = begin(host)
    line = Line(host, BYTES_PER_S)
    line.spoil = lambda chunk: bytes(len(chunk))
    host.start()
    host.until(lambda: any(p.startswith("hash:") for p in host.report().problems), 60, "that the hash is wrong")
    assert (host.report().running, host.runs("2.0.0")) == (baseline, 0)
    line.spoil = lambda chunk: chunk
    host.until_confirmed(two, 120)


def test_a_recall_is_heard_though_what_is_offered_beside_it_never_arrives(host: Endpoint) -> None:
    """A byte a tenth of a second: the cell of a thief, or a line that is next to dead."""
    baseline, two = begin(host)
    Line(host, 10)
    host.start()
    host.until_running(baseline)
    host.cell.repository.recalled.append(baseline)
    host.cell.repository.bump("recall")
    host.until(lambda: host.report().running == "", what="what was recalled ended")
    assert baseline in host.record().recalled
    assert (host.runs("2.0.0"), pieces(host)) == (0, [])
    assert two not in host.record().quarantined
