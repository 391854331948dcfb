"""The apt proxy: what it refuses, what it keeps, and that it serves what it has when the archive is gone."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tools.fleetbox.proxy import ArchiveCache
from tools.fleetbox.settings import LOCAL_REPOSITORY_HOST


class Upstream(http.server.BaseHTTPRequestHandler):
    """An archive of three files that counts what it is asked for."""

    asked: list[str]

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/missing":
            self.send_error(404)
        elif self.headers.get("If-Modified-Since") == "then":
            self.send_response(304)
            self.end_headers()
        else:
            short = self.path == "/short.deb"
            self.send_response(200)
            self.send_header("Last-Modified", "then")
            self.send_header("Content-Length", "9" if short else "4")
            self.end_headers()
            self.wfile.write(b"body")


@pytest.fixture
def upstream() -> Iterator[http.server.HTTPServer]:
    Upstream.asked = []
    server = http.server.HTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def origin(upstream: http.server.HTTPServer) -> str:
    return f"http://127.0.0.1:{upstream.server_port}"


def test_packages_are_fetched_once(tmp_path: Path, origin: str) -> None:
    cache = ArchiveCache(tmp_path, (origin,), None)
    for _ in range(3):
        answer = cache.get(f"{origin}/pool/a.deb")
        assert answer.status == 200
        assert answer.body is not None
        assert answer.body.read_bytes() == b"body"
    assert Upstream.asked == ["/pool/a.deb"]


def test_indexes_are_asked_for_again_and_served_when_the_archive_is_gone(
    tmp_path: Path, origin: str, upstream: http.server.HTTPServer
) -> None:
    cache = ArchiveCache(tmp_path, (origin,), None)
    assert cache.get(f"{origin}/dists/x/InRelease").status == 200
    assert cache.get(f"{origin}/dists/x/InRelease").status == 200
    assert len(Upstream.asked) == 2
    upstream.shutdown()
    upstream.server_close()
    assert cache.get(f"{origin}/dists/x/InRelease").status == 200
    assert cache.get(f"{origin}/dists/y/InRelease").status == 504


def test_other_hosts_are_refused(tmp_path: Path, origin: str) -> None:
    cache = ArchiveCache(tmp_path, (origin,), None)
    assert cache.get("http://elsewhere.test/pool/a.deb").status == 403
    assert cache.get(f"{origin}/../a").status == 403
    assert cache.get(f"{origin}/missing").status == 404


def test_a_body_cut_short_is_not_kept(tmp_path: Path, origin: str) -> None:
    cache = ArchiveCache(tmp_path, (origin,), None)
    assert cache.get(f"{origin}/short.deb").status == 504
    assert not list(tmp_path.glob("*.new"))


def test_the_local_repository_is_a_directory_and_nothing_beside_it(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "Packages").write_text("x")
    (tmp_path / "secret").write_text("y")
    cache = ArchiveCache(tmp_path / "cache", (), repository)
    base = f"http://{LOCAL_REPOSITORY_HOST}"
    assert cache.get(f"{base}/Packages").status == 200
    assert cache.get(f"{base}/../secret").status == 404
    assert cache.get(f"{base}/%2e%2e/secret").status == 404
    assert cache.get(f"{base}/none").status == 404
