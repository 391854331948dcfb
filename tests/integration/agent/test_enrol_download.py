"""What `enrol.sh` does before there is an agent: fetch the kit by a proxy or directly, from a real TLS cell."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.support_cell import SERVER_NAME, Cell, Pki, serving
from tests.support_proxy import INSIDE, ConnectProxy, proxying, says

from brakeline.server.enrol_script import enrol_script

NAMES = ("stub.py", "launcher.pyz", "agent.tar", "root.json")


def kit() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in NAMES:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
    return out.getvalue()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Cell]:
    def get(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("content-length", str(len(kit())))
        request.end_headers()
        request.wfile.write(kit())

    with serving(Cell(), Pki(tmp_path), get=get) as made:
        yield made


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with proxying("ann", "s3cret") as made:
        yield made


def fetch(folder: Path, url: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The script's own program, as `sh` hands it to Python."""
    (folder / "lib").mkdir(exist_ok=True)
    text = enrol_script("https://10.0.0.5", (folder / "ca.pem").read_text(), hashlib.sha256(kit()).hexdigest())
    found = re.search(r"<<'PY' \|\| exit 4\n(.*?)\nPY\n", text, re.S)
    assert found is not None
    words = [
        url,
        SERVER_NAME,
        str(folder / "ca.pem"),
        str(folder / "lib"),
        str(folder),
        hashlib.sha256(kit()).hexdigest(),
    ]
    clean = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
    return subprocess.run(
        [sys.executable, "-I", "-", *words, ""], input=found[1], capture_output=True, text=True, check=False,
        env=clean | {"BRAKELINE_PROXY": given} | environment,
    )  # fmt: skip


def test_the_kit_comes_directly_or_by_the_proxy_that_was_named(
    server: Cell, proxy: ConnectProxy, tmp_path: Path
) -> None:
    assert fetch(tmp_path, server.url).returncode == 0
    assert proxy.asked == []
    outside, known = server.url.replace("127.0.0.1", INSIDE), proxy.url.replace("//", "//ann:s%33cret@")
    (tmp_path / "given").write_text(known + "\n")
    assert fetch(tmp_path, outside, known).returncode == 0
    assert fetch(tmp_path, outside, str(tmp_path / "given")).returncode == 0
    assert fetch(tmp_path, outside, https_proxy=known).returncode == 0
    assert fetch(tmp_path, outside, https_proxy=known.removeprefix("http://")).returncode == 0
    (tmp_path / "proxy.json").write_text(json.dumps({"proxy": known}))
    assert fetch(tmp_path, outside).returncode == 0, "an endpoint that is repaired has its proxy written down"
    assert len(proxy.asked) == 5
    assert (tmp_path / "lib/agent.tar").read_text() == "agent.tar"


def test_where_the_proxy_gives_no_line_the_cell_is_dialled_directly(
    server: Cell, proxy: ConnectProxy, tmp_path: Path
) -> None:
    proxy.misbehave = says(b"HTTP/1.1 503 Down\r\n\r\n")
    assert fetch(tmp_path, server.url, proxy.url).returncode == 0
    assert len(proxy.asked) == 1


def test_what_does_not_work_says_which_way_and_what_to_do(server: Cell, proxy: ConnectProxy, tmp_path: Path) -> None:
    outside = server.url.replace("127.0.0.1", INSIDE)
    refused = fetch(tmp_path, outside, proxy.url.replace("//", "//ann:wr0ng@"))
    assert refused.returncode == 1
    assert f"by the proxy {proxy.place}: Tunnel connection failed: 407" in refused.stderr
    assert "; directly: " in refused.stderr
    assert "what to do: check the proxy (user, password" in refused.stderr
    assert "is there a proxy? --proxy http://HOST:PORT" in fetch(tmp_path, outside, "none").stderr
    assert "is there a proxy?" in fetch(tmp_path, outside, https_proxy=proxy.url, no_proxy=INSIDE).stderr
    for bad in ("https://ann:wr0ng@p", "p:3128", str(tmp_path / "not-there")):
        done = fetch(tmp_path, outside, bad)
        assert (done.returncode, "what to do: give another --proxy, or --proxy none" in done.stderr) == (1, True)
        assert "wr0ng" not in refused.stderr + done.stderr
