"""One file from a real web server whose connections break: taken up where they broke, never half, never too much."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from brakeline.core.errors import Unavailable
from brakeline.platform.fetching import RESUMES, fetch

DATA = bytes(range(256)) * 4096  # 1 MiB


@dataclass
class Site:
    """Serves `data` and cuts the connection after so many bytes of each answer, as long as there is a cut."""

    data: bytes = DATA
    etag: str = '"1"'
    cuts: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)  # the range of each request
    knows_ranges: bool = True
    shifted: int = 0  # by so much it goes on at another place
    chunked: bool = False
    url: str = ""

    def begin(self, rest: str, same: str) -> int:
        found = re.fullmatch(r"bytes=([0-9]+)-", rest)
        return int(found[1]) if found and self.knows_ranges and same == self.etag else 0


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            rest = self.headers.get("Range", "")
            made.asked.append(rest)
            start = made.begin(rest, self.headers.get("If-Range", ""))
            body = made.data[start:]
            self.send_response(206 if start else 200)
            if start:
                at = start + made.shifted
                self.send_header("Content-Range", f"bytes {at}-{len(made.data) - 1}/{len(made.data)}")
            if made.etag:
                self.send_header("ETag", made.etag)
            head = ("Transfer-Encoding", "chunked") if made.chunked else ("Content-Length", str(len(body)))
            self.send_header(*head)
            self.end_headers()
            cut = made.cuts.pop(0) if made.cuts else len(body)
            if made.chunked:
                self.wfile.write(f"{len(body):x}\r\n".encode())
            self.wfile.write(body[:cut])
            if made.chunked and cut == len(body):
                self.wfile.write(b"\r\n0\r\n\r\n")
            self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    made.url = f"http://127.0.0.1:{server.server_port}/feed.json"
    yield made
    server.shutdown()
    server.server_close()
    thread.join()


async def take(site: Site, limit: int = 1 << 21) -> bytes:
    return (await fetch(site.url, "", "", limit)).data or b""


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_connection_that_breaks_is_taken_up_where_it_broke(site: Site, *, chunked: bool) -> None:
    site.cuts, site.chunked = [300_000, 100_000], chunked
    assert await take(site) == DATA
    assert site.asked == ["", "bytes=300000-", "bytes=400000-"] or chunked  # a broken chunk may be read less far
    assert len(site.asked) == 3


async def test_a_file_that_changed_meanwhile_begins_anew(site: Site) -> None:
    site.cuts, first = [300_000], site.begin

    def begin(rest: str, same: str) -> int:
        if rest:
            site.data, site.etag = DATA[::-1], '"2"'
        return first(rest, same)

    site.begin = begin  # type: ignore[method-assign]
    found = await fetch(site.url, "", "", 1 << 21)
    assert (found.data, found.etag) == (DATA[::-1], '"2"')


async def test_an_address_that_knows_no_ranges_sends_all_of_it_again(site: Site) -> None:
    site.cuts, site.knows_ranges = [300_000], False
    assert await take(site) == DATA
    assert len(site.asked) == 2


@pytest.mark.parametrize("etag", ["", 'W/"1"'])
async def test_without_a_word_that_it_is_the_same_file_a_short_one_is_refused(site: Site, etag: str) -> None:
    site.cuts, site.etag = [300_000], etag
    with pytest.raises(Unavailable, match="ended too soon"):
        await take(site)
    assert len(site.asked) == 1


async def test_what_goes_on_at_another_place_or_breaks_for_ever_is_refused(site: Site) -> None:
    site.cuts, site.shifted = [300_000], 1
    with pytest.raises(Unavailable, match="at another place"):
        await take(site)
    site.cuts, site.shifted = [100] * 50, 0
    site.asked.clear()
    with pytest.raises(Unavailable, match="ended too soon"):
        await take(site)
    assert len(site.asked) == 1 + RESUMES


async def test_more_than_the_limit_is_never_read(site: Site) -> None:
    with pytest.raises(Unavailable, match="more than 1000 bytes"):
        await take(site, 1000)
    site.chunked = True
    with pytest.raises(Unavailable, match="more than 1000 bytes"):
        await take(site, 1000)
