"""A caching HTTP proxy for apt that asks only the archives of this machine's own apt sources.

Endpoints reach it on their region's gateway. Packages and by-hash files never change and are kept for ever; other
files are revalidated, and served as cached when the archive cannot be reached, so a warm fleet works offline.
The host LOCAL_REPOSITORY_HOST is a directory of this machine: repositories that tests build.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import socket
import socketserver
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from tools.fleetbox.settings import LOCAL_REPOSITORY_HOST

UPSTREAM_TIMEOUT_S = 60
CHUNK = 1 << 16
STALE = '111 - "Revalidation Failed"'  # RFC 7234: what the cache has, because the archive cannot be reached
KEPT_HEADERS = ("Last-Modified", "Content-Type", "ETag")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to apt: a body in a file, or none."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: Path | None = None
    note: str = ""


class ArchiveCache:
    """Files of the allowed archives, fetched at most once. Thread-safe; one download per address at a time."""

    def __init__(
        self, directory: Path, origins: tuple[str, ...], repository: Path | None, upstream_proxy: str = ""
    ) -> None:
        self._directory = directory
        self._by_host = {urlsplit(origin).netloc: origin for origin in origins}
        self._repository = repository
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        handler = urllib.request.ProxyHandler(
            {"http": upstream_proxy, "https": upstream_proxy} if upstream_proxy else None
        )
        self._opener = urllib.request.build_opener(handler)
        directory.mkdir(parents=True, exist_ok=True)

    def get(self, url: str) -> Answer:
        """The file at `url`: 403 for an address that is none of ours, 504 when it cannot be had now."""
        parts = urlsplit(url)
        if parts.hostname == LOCAL_REPOSITORY_HOST:
            return self._local(parts.path)
        origin = self._by_host.get(parts.netloc)
        if origin is None or ".." in parts.path:
            return Answer(403, note="not one of this machine's apt archives")
        path = self._directory / hashlib.sha256(f"{origin}{parts.path}".encode()).hexdigest()[:32]
        with self._locks[path.name]:
            immutable = parts.path.endswith((".deb", ".udeb")) or "/by-hash/" in parts.path
            if immutable and path.exists():
                return self._cached(path)
            return self._fetch(origin + parts.path, path)

    def _local(self, path: str) -> Answer:
        if self._repository is None:
            return Answer(404)
        found = (self._repository / unquote(path).lstrip("/")).resolve()
        inside = found.is_relative_to(self._repository.resolve()) and found.is_file()
        return Answer(200, {}, found) if inside else Answer(404)

    def _cached(self, path: Path) -> Answer:
        try:
            headers = json.loads(path.with_suffix(".headers").read_bytes())
        except (OSError, ValueError):
            headers = {}
        return Answer(200, headers, path)

    def _fetch(self, url: str, path: Path) -> Answer:
        request = urllib.request.Request(url, headers={"User-Agent": "Debian APT-HTTP/1.3"})
        if path.exists() and (modified := self._cached(path).headers.get("Last-Modified")):
            request.add_header("If-Modified-Since", modified)
        try:
            with self._opener.open(request, timeout=UPSTREAM_TIMEOUT_S) as response:
                self._keep(response, path)
                return self._cached(path)
        except urllib.error.HTTPError as error:
            if error.code == 304:
                return self._cached(path)
            return Answer(error.code)
        except (OSError, ValueError, HTTPException) as error:
            if path.exists():
                kept = self._cached(path)
                return replace(kept, headers={**kept.headers, "Warning": STALE})
            return Answer(504, note=f"archive unreachable, not cached: {error}")

    def _keep(self, response: Any, path: Path) -> None:
        temporary = path.with_suffix(f".{os.getpid()}.new")
        try:
            with temporary.open("wb") as file:
                while chunk := response.read(CHUNK):
                    file.write(chunk)
            expected = response.headers.get("Content-Length")
            if expected is not None and temporary.stat().st_size != int(expected):
                raise OSError(f"the archive sent less than it promised for {path.name}")
            headers = {name: response.headers[name] for name in KEPT_HEADERS if response.headers[name]}
            path.with_suffix(".headers").write_text(json.dumps(headers))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    cache: ArchiveCache

    def __init__(self, listener: socket.socket, cache: ArchiveCache) -> None:
        socketserver.BaseServer.__init__(self, listener.getsockname(), _Handler)
        self.socket, self.cache = listener, cache
        self.server_name, self.server_port = "aptcache", listener.getsockname()[1]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """One line per request is of no use to anybody."""

    def do_HEAD(self) -> None:
        """zypper asks so what kind of repository it has before it."""
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        answer = self.server.cache.get(self._url())
        since = self.headers.get("If-Modified-Since")
        if answer.status == 200 and since and since == answer.headers.get("Last-Modified"):
            answer = Answer(304, answer.headers)
        self.send_response(answer.status, answer.note or None)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        with _opened(answer.body) as body:
            size = os.fstat(body.fileno()).st_size if body else 0
            self.send_header("Content-Length", str(size))
            self.end_headers()
            while with_body and body and (chunk := body.read(CHUNK)):
                self.wfile.write(chunk)

    def _url(self) -> str:
        """What is asked for: of a proxy a whole address; of the repository built here, by its own name, a path."""
        if not self.path.startswith("/"):
            return self.path
        host = str(self.headers.get("Host", "")).partition(":")[0]
        return f"http://{host}{self.path}" if host == LOCAL_REPOSITORY_HOST else self.path


def _opened(path: Path | None) -> AbstractContextManager[IO[bytes] | None]:
    return path.open("rb") if path else nullcontext(None)


def serve(listener: socket.socket, cache: ArchiveCache) -> _Server:
    """Serve on `listener` from a background thread until `.shutdown()`."""
    server = _Server(listener, cache)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    return server
