"""The agent and a real proxy in front of a real TLS cell: two ways, every fault, and the verb that writes it down."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.agent.conftest import Machine
from tests.support_cell import Cell, Pki
from tests.support_proxy import (
    INSIDE,
    ConnectProxy,
    Misbehave,
    drips,
    endless,
    hangs,
    inspects,
    proxying,
    says,
)

from brakeline.agent import proxy_file
from brakeline.agent.proxy_file import ProxyFile
from brakeline.agent.transport import CellUnreachable, NotOurCell, Transport
from brakeline.core.errors import Invalid
from brakeline.protocol.messages import Problem
from brakeline.protocol.proxy import Proxy, parse

PASSWORD = "s3cret"


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with proxying("ann", PASSWORD) as made:
        yield made


@pytest.fixture
def outside(cell: Cell) -> str:
    """The cell's address under a name that only the proxy knows."""
    cell.script = [("", Problem("ok", "Ok.", 200), {})] * 50
    return cell.url.replace("127.0.0.1", INSIDE)


@pytest.fixture
def machine(tmp_path: Path, bundle: Path, cell: Cell) -> Iterator[Machine]:
    """Not enrolled; how it looks at itself does not matter here."""
    assert cell.url
    pki = object.__new__(Pki)
    pki.ca_file = tmp_path / "ca.pem"
    made = Machine(tmp_path / "machine", bundle, pki)
    made.home.mkdir()
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def written(folder: Path, text: str) -> ProxyFile:
    (folder / "proxy.json").write_text(json.dumps({"proxy": text}))
    return ProxyFile(folder / "agent.json")


def with_user(proxy: ConnectProxy, password: str = PASSWORD) -> str:
    return proxy.url.replace("//", f"//ann:{password}@")


def transport(url: str, folder: Path, file: ProxyFile, seconds: float = 10.0) -> Transport:
    made = Transport(url, (folder / "ca.pem").read_text(), 0, file)
    made.answer_s_max = seconds
    return made


def test_the_cell_is_reached_by_the_proxy_which_sees_no_more_than_its_place(
    proxy: ConnectProxy, outside: str, tmp_path: Path
) -> None:
    ours = transport(outside, tmp_path, written(tmp_path, with_user(proxy)))
    for _ in range(3):
        assert ours.post("/agent/v1/check-in", b"what is installed here", {"x-key": "open"}).status == 200
    assert ours.way == f"by the proxy 127.0.0.1:{proxy.port}"
    assert [head.splitlines()[0] for head in proxy.asked] == [f"CONNECT {outside.removeprefix('https://')} HTTP/1.1"]
    assert b"installed here" not in proxy.seen
    assert b"check-in" not in proxy.seen
    assert len(proxy.seen) > 1000
    ours.close()


def test_away_from_the_office_it_goes_directly_and_stays_with_what_works(
    proxy: ConnectProxy, cell: Cell, outside: str, tmp_path: Path
) -> None:
    assert outside
    ours = transport(cell.url, tmp_path, written(tmp_path, "http://no-such-proxy.invalid:3128"))
    assert ours.post("/x", b"{}", {}).status == 200
    assert ours.way == "directly, not by the proxy no-such-proxy.invalid:3128"
    written(tmp_path, with_user(proxy))  # another proxy is a change: it is asked first again, from the next request on
    assert ours.post("/x", b"{}", {}).status == 200
    assert ours.way == f"by the proxy 127.0.0.1:{proxy.port}"
    proxy.misbehave = says(b"HTTP/1.1 503 Down\r\n\r\n")
    ours.close()
    assert ours.post("/x", b"{}", {}).status == 200
    assert (ours.way, len(proxy.asked)) == (f"directly, not by the proxy 127.0.0.1:{proxy.port}", 2)
    ours.close()
    assert ours.post("/x", b"{}", {}).status == 200
    assert len(proxy.asked) == 2, "what worked last comes first"
    (tmp_path / "proxy.json").unlink()
    assert ours.post("/x", b"{}", {}).status == 200
    assert ours.way == "directly"
    ours.close()


def test_a_direct_way_that_is_dropped_costs_half_the_time_and_no_more(
    proxy: ConnectProxy, outside: str, tmp_path: Path
) -> None:
    """As in an office whose firewall answers nothing: the agent was at home before."""
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never speaks
        there = f"https://127.0.0.1:{silent.getsockname()[1]}"
        proxy.hosts["127.0.0.1"] = INSIDE
        port = int(outside.rpartition(":")[2])
        ours = transport(there, tmp_path, written(tmp_path, with_user(proxy)), seconds=1.0)
        ours._way = f"directly, not by the proxy 127.0.0.1:{proxy.port}"
        began = time.monotonic()
        with pytest.raises(CellUnreachable, match=r"directly: no answer in time; the proxy .* answered 502"):
            ours.post("/x", b"{}", {})
        assert 0.4 < time.monotonic() - began < 3
    proxy.hosts["127.0.0.1"] = "127.0.0.1"
    assert transport(f"https://{INSIDE}:{port}", tmp_path, written(tmp_path, with_user(proxy))).post("/x", b"", {})


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (hangs, "gave no answer in time"),
        (drips, "gave no answer in time"),
        (endless, "answered with headers of more than 16384 bytes"),
        (says(b""), "closed the connection without an answer"),
        (says(b"SSH-2.0-OpenSSH\r\n"), "answered what is no HTTP: is that its port?"),
        (says(b"HTTP/1.1 403 No\r\n\r\n"), "answered 403: it does not let anybody through to cell.invalid"),
        (says(b"HTTP/1.1 502 No\r\n\r\n<html>"), "answered 502: it does not reach cell.invalid"),
        (
            says(b"HTTP/1.1 200 OK\r\n\r\n<html>Sign in"),
            "answered with a page of its own: a sign-in page is in between",
        ),
    ],
)
def test_what_a_proxy_does_instead_is_bounded_and_told(
    proxy: ConnectProxy, outside: str, tmp_path: Path, fault: Misbehave, told: str
) -> None:
    proxy.misbehave = fault
    ours = transport(outside, tmp_path, written(tmp_path, with_user(proxy)), seconds=1.0)
    began = time.monotonic()
    with pytest.raises(CellUnreachable) as e:
        ours.post("/x", b"{}", {})
    assert f"the proxy 127.0.0.1:{proxy.port} {told}" in str(e.value)
    assert "; directly: " in str(e.value)
    assert PASSWORD not in str(e.value)
    assert time.monotonic() - began < 6


def test_user_and_password_that_are_missing_or_wrong_are_told(
    proxy: ConnectProxy, outside: str, tmp_path: Path
) -> None:
    for text, told in ((proxy.url, "it asks for them"), (with_user(proxy, "wr0ng"), "it refuses them")):
        with pytest.raises(CellUnreachable) as e:
            transport(outside, tmp_path, written(tmp_path, text)).post("/x", b"{}", {})
        assert f"the proxy 127.0.0.1:{proxy.port} answered 407: {told}; check user and password" in str(e.value)
        assert "wr0ng" not in str(e.value)


def test_a_proxy_that_looks_into_tls_is_refused(proxy: ConnectProxy, outside: str, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    proxy.misbehave = inspects(Pki(theirs).leaf_file, theirs / "leaf.pem")
    with pytest.raises(NotOurCell) as e:
        transport(outside, tmp_path, written(tmp_path, with_user(proxy))).post("/x", b"{}", {})
    assert f"by the proxy 127.0.0.1:{proxy.port}: not our cell's certificate" in str(e.value)
    assert "somebody looks into TLS" in str(e.value)


def test_a_file_that_makes_no_sense_is_told_and_stops_nothing(cell: Cell, outside: str, tmp_path: Path) -> None:
    assert outside
    ours = transport(cell.url, tmp_path, written(tmp_path, f"https://ann:{PASSWORD}@p:1"))
    assert ours.post("/x", b"{}", {}).status == 200
    assert ours.way.startswith("directly; proxy.json cannot be used: a proxy is written http://HOST:PORT")
    assert PASSWORD not in ours.way
    ours.close()


# --- written down ----------------------------------------------------------------------------------------------------


def test_the_file_is_for_root_and_the_agent_alone(tmp_path: Path) -> None:
    for text in ("http://ann:%3A%40%2F%25@p.example:3128", "http://p.example", "http://ann@[fd00::1]:1"):
        proxy_file.save(tmp_path / "agent.json", parse(text), "nobody")
        assert ProxyFile(tmp_path / "agent.json").now() == parse(text)
    about = (tmp_path / "proxy.json").stat()
    assert stat.S_IMODE(about.st_mode) == (0o640 if os.geteuid() == 0 else 0o600)
    proxy_file.save(tmp_path / "agent.json", Proxy("p"), "no-such-user")
    assert stat.S_IMODE((tmp_path / "proxy.json").stat().st_mode) == 0o600
    proxy_file.save(tmp_path / "agent.json", None, "nobody")
    proxy_file.save(tmp_path / "agent.json", None, "nobody")
    assert os.listdir(tmp_path) == []


def test_a_person_names_it_by_address_by_file_or_takes_it_away(tmp_path: Path) -> None:
    (tmp_path / "p").write_text(f"http://ann:{PASSWORD}@p.example:3128\nmore\n")
    assert proxy_file.given(str(tmp_path / "p")) == Proxy("p.example", 3128, "ann", PASSWORD)
    assert proxy_file.given("none") is None
    for text in (str(tmp_path / "q"), f"ann:{PASSWORD}@p.example:3128", "p.example:3128"):
        with pytest.raises(Invalid) as e:
            proxy_file.given(text)
        assert PASSWORD not in str(e.value)


def test_what_the_environment_names_counts_unless_it_is_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://p.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example, .lan")
    assert proxy_file.of_environment("https://cell.example:8443") == "http://p.example:3128"
    for near in ("inside.example", "a.lan", "localhost", "127.0.0.1", "[::1]"):
        assert proxy_file.of_environment(f"https://{near}:8443") == ""
    monkeypatch.setenv("https_proxy", "p.example:3128")
    assert proxy_file.of_environment("https://cell.example") == "http://p.example:3128"
    monkeypatch.delenv("https_proxy")
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    assert proxy_file.of_environment("https://cell.example") == ""


# --- the whole agent -------------------------------------------------------------------------------------------------


def test_an_endpoint_whose_only_way_out_is_the_proxy(machine: Machine, cell: Cell, proxy: ConnectProxy) -> None:
    secret = machine.home / "given"
    secret.write_text(with_user(proxy) + "\n")
    outside = cell.url.replace("127.0.0.1", INSIDE)
    refused = machine.enrol(outside, proxy=f"http://ann:wr0ng@127.0.0.1:{proxy.port}")
    assert (refused.returncode, "check user and password" in refused.stderr) == (4, True), refused.stderr
    done = machine.enrol(outside, proxy=str(secret))
    assert done.returncode == 0, done.stderr
    assert f"proxy http://ann:***@127.0.0.1:{proxy.port}" in done.stdout
    process = machine.run()
    cell.wait_until(lambda c: c.check_ins)
    until = time.monotonic() + 20
    while machine.status()["connection"] != "connected" and time.monotonic() < until:
        time.sleep(0.1)
    assert machine.status()["reached"] == f"by the proxy 127.0.0.1:{proxy.port}"
    assert f"http://ann:***@127.0.0.1:{proxy.port}" in machine.call("proxy").stdout
    changed = machine.call("proxy", proxy.url)
    assert (changed.returncode, "answered 407" in changed.stderr) == (0, True), changed
    process.terminate()
    said = process.communicate()[0] + done.stdout + done.stderr + json.dumps(machine.status())
    assert PASSWORD not in said
    assert PASSWORD not in machine.config.read_text()
    taken = machine.call("proxy", "none")
    assert (taken.returncode, (machine.home / "proxy.json").exists()) == (0, False)
    assert "the cell is not reached: directly: " in taken.stderr


def test_the_environment_of_whoever_enrols_is_taken_and_said(machine: Machine, cell: Cell, proxy: ConnectProxy) -> None:
    def enrol(**environment: str) -> subprocess.CompletedProcess[str]:
        outside = cell.url.replace("127.0.0.1", INSIDE)
        words = [
            "enrol",
            "--server",
            outside,
            "--token",
            "et_00000000000000000000000000",
            "--ca",
            str(machine.pki.ca_file),
        ]
        return subprocess.run(
            machine.command(*words), env=os.environ | environment, capture_output=True, text=True, check=False
        )

    wrong = enrol(https_proxy="https://p.example:1")
    assert "https_proxy of this environment is not used: a proxy is written" in wrong.stderr
    assert (wrong.returncode, (machine.home / "proxy.json").exists()) == (4, False)
    done = enrol(https_proxy=with_user(proxy))
    assert "as https_proxy of this environment says; to change it: brakeline-agent proxy" in done.stdout, done.stderr
    assert PASSWORD not in done.stdout
    assert machine.call("proxy").stdout == f"http://ann:***@127.0.0.1:{proxy.port}\n"
    again = machine.enrol(cell.url, proxy="none")
    assert (again.returncode, (machine.home / "proxy.json").exists()) == (6, False), "enrolled already: it counts too"
