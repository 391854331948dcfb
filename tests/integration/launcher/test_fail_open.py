"""Whatever cannot be had, the last good release runs; and nothing new is installed by what cannot be verified.

Each row is done to a real launcher; what it came to is compared with docs/reference/fail-open.md. To write that again:
`python -m tests.integration.launcher.test_fail_open --rewrite`, as root; commit a difference only if you understand it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from tests.support_clock import preload
from tests.support_launcher import GOOD, RAN, READY, SAY, Endpoint, endpoint, release_bytes, send, user
from tests.support_proxy import INSIDE, Misbehave, hangs, proxying, says
from tests.support_trust import Repository

from brakeline.launcher.records import SLOTS
from brakeline.platform.clock import SystemClock
from brakeline.platform.tls import ensure_tls

DOCUMENT = Path(__file__).parents[3] / "docs/reference/fail-open.md"
HEAD = """# What the launcher does without …

Each row was done to a real launcher with a last good release (1.0.0) on its disk and a newer one (2.0.0) offered by a
real HTTPS cell. This page is written by the test that does it, and compared with each run of it:
`python -m tests.integration.launcher.test_fail_open --rewrite`. What is said is the kind of problem in `report.json`,
or a line of the journal where the disk takes no report. Locked files as Windows has them:
`tests/system/test_windows_launcher.py`; disks that fail at every single write: `./dev crash-test`; lines on which a
release needs many looks: `tests/integration/launcher/test_slow_link.py`.
Next: [the launcher](../explanation/launcher.md).

| what is wrong | what runs | what the launcher says | the newer release |
|---|---|---|---|
"""
ALIKE = (  # what another row shows in another way: in the whole run only
    "the answer is cut off",
    "the answer has no end",
    "a captive portal sends us elsewhere",
    "the address is none",
    "the release comes a byte at a time, the documents as ever",
    "only a proxy leads out, and it wants a password",
    "a proxy is set and hangs; the direct way is open",
)
NOT_TAKEN, TAKEN, TAKEN_AFTERWARDS = "not taken", "taken", "not taken; taken once it is over"
LAST_GOOD = "the last good release"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a row came to."""

    runs: str
    says: str
    newer: str


Row = Callable[[Endpoint], Seen]
ROWS: dict[str, Row] = {}


def row(name: str) -> Callable[[Row], Row]:
    def add(act: Row) -> Row:
        ROWS[name] = act
        return act

    return add


def line(name: str, seen: Seen) -> str:
    return f"| {name} | {seen.runs} | {seen.says} | {seen.newer} |"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """After the rows are all there."""
    if "name" in metafunc.fixturenames:
        rows = [pytest.param(name, marks=pytest.mark.long) if name in ALIKE else name for name in ROWS]
        metafunc.parametrize("name", rows)


def test_the_last_good_release_runs_as_the_document_says(host: Endpoint, name: str) -> None:
    assert line(name, ROWS[name](host)) in DOCUMENT.read_text().splitlines()


# --- what rows are made of ------------------------------------------------------------------------------------------


def offer(host: Endpoint, program: str = GOOD) -> str:
    release_id = host.cell.repository.publish("2.0.0", release_bytes("2.0.0", program, 2), 2)
    host.cell.repository.offer(release_id)
    return release_id


def runs_the_good_one(host: Endpoint, baseline: str, says: str = "", newer: str = NOT_TAKEN) -> Seen:
    """Start it; wait until the last good release runs and `says` is among the problems. Nothing is on probation."""
    host.start()
    host.until_running(baseline, 20)
    host.until(lambda: host.runs("1.0.0") == 1)
    if says:
        host.until(lambda: says in kinds(host), what=says)
    assert (host.report().trial, host.runs("2.0.0")) == ("", 0)
    return Seen(LAST_GOOD, f"`{says}`" if says else "nothing", newer)


def kinds(host: Endpoint) -> set[str]:
    return {p.partition(":")[0] for p in host.report().problems}


@contextlib.contextmanager
def small_disk(host: Endpoint) -> Iterator[None]:
    """The launcher's directory on a file system of its own."""
    kept = host.base / "kept"
    host.root.rename(kept)
    host.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", str(host.root)], check=True)
    try:
        shutil.copytree(kept, host.root, dirs_exist_ok=True)
        yield
    finally:
        if host.process is not None:
            host.stop()
        subprocess.run(["umount", "--lazy", str(host.root)], check=True)


# --- the server and the way to it -------------------------------------------------------------------------------------


def _status(status: int, request: BaseHTTPRequestHandler) -> bool:
    send(request, status, b"no")
    return True


def _garbage(request: BaseHTTPRequestHandler) -> bool:
    send(request, 200, bytes(range(256)) * 64)
    return True


def _portal(request: BaseHTTPRequestHandler) -> bool:
    send(request, 200, b"<html><body>Please accept our terms</body></html>")
    return True


def _redirect(request: BaseHTTPRequestHandler) -> bool:
    request.send_response(302)
    request.send_header("Location", "http://portal.invalid/accept")
    request.send_header("Content-Length", "0")
    request.end_headers()
    return True


def _truncated(request: BaseHTTPRequestHandler) -> bool:
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    request.wfile.write(b'{"targets": "')
    request.close_connection = True
    return True


def _slow(request: BaseHTTPRequestHandler) -> bool:
    request.send_response(200)
    request.send_header("Content-Length", "100000")
    request.end_headers()
    for _ in range(300):
        request.wfile.write(b" ")
        request.wfile.flush()
        time.sleep(0.1)
    return True


def _trickle(request: BaseHTTPRequestHandler) -> bool:
    """The documents come as ever, the release hardly at all."""
    return "/targets/" in request.path and _slow(request)


def _endless(request: BaseHTTPRequestHandler) -> bool:
    request.send_response(200)
    request.end_headers()
    for _ in range(200):
        request.wfile.write(b" " * 100_000)
    return True


def _misbehaves(how: Callable[[BaseHTTPRequestHandler], bool], says: str, heals: bool, host: Endpoint) -> Seen:
    host.knobs |= {"check_s": 2}
    baseline = host.prepare(release_bytes("1.0.0"))
    two = offer(host)
    host.cell.misbehave = how
    seen = runs_the_good_one(host, baseline, says)
    if not heals:
        return seen
    host.cell.misbehave = lambda _: False
    host.until_confirmed(two)
    return Seen(seen.runs, seen.says, TAKEN_AFTERWARDS)


for _name, _how, _says, _heals in (
    ("the server answers 404", partial(_status, 404), "unreachable", False),
    ("the server answers 500", partial(_status, 500), "unreachable", True),
    ("the server answers garbage", _garbage, "unreachable", False),
    ("the answer is cut off", _truncated, "unreachable", False),
    ("the answer has no end", _endless, "unreachable", False),
    ("the answer comes a byte at a time (slow-loris)", _slow, "check", True),
    ("the release comes a byte at a time, the documents as ever", _trickle, "download", True),
    ("a captive portal answers with its page", _portal, "unreachable", False),
    ("a captive portal sends us elsewhere", _redirect, "unreachable", False),
):
    ROWS[_name] = partial(_misbehaves, _how, _says, _heals)


def _address(server: str, host: Endpoint) -> Seen:
    baseline = host.prepare(release_bytes("1.0.0"))
    plain = json.loads((host.etc / "agent.json").read_text())
    (host.etc / "agent.json").write_text(json.dumps(plain | {"server_url": server}))
    return runs_the_good_one(host, baseline, "unreachable")


for _name, _server in (
    ("nobody listens there", "https://127.0.0.1:9"),
    ("no DNS: the name cannot be resolved", "https://no-such-name.invalid"),
    ("the address is none", "not even an address"),
):
    ROWS[_name] = partial(_address, _server)


def _proxy(fault: Misbehave | None, inside: bool, host: Endpoint) -> Seen:
    """`inside`: only the proxy knows the cell's name, so nothing leads there directly."""
    host.knobs |= {"check_s": 4}
    baseline = host.prepare(release_bytes("1.0.0"))
    two = offer(host)
    with proxying() as proxy:
        proxy.misbehave = fault
        (host.etc / "proxy.json").write_text(json.dumps({"proxy": proxy.url}))
        if inside:
            plain = json.loads((host.etc / "agent.json").read_text())
            there = plain["server_url"].replace("127.0.0.1", INSIDE)
            (host.etc / "agent.json").write_text(json.dumps(plain | {"server_url": there}))
        if fault is not None and inside:
            seen = runs_the_good_one(host, baseline, "unreachable")
            proxy.misbehave = None
            host.until_confirmed(two)
            return Seen(seen.runs, seen.says, TAKEN_AFTERWARDS)
        host.start()
        host.until_confirmed(two)
        way = f"by the proxy {proxy.place}" if fault is None else f"directly, not by the proxy {proxy.place}"
        assert host.report().way == way
    return Seen("the newer release", f"nothing; `way`: *{way.replace(proxy.place, 'HOST:PORT')}*", "taken")


for _name, _fault, _inside in (
    ("only a proxy leads out", None, True),
    ("only a proxy leads out, and it hangs", hangs, True),
    ("only a proxy leads out, and it wants a password", says(b"HTTP/1.1 407 No\r\n\r\n"), True),
    ("a proxy is set and hangs; the direct way is open", hangs, False),
):
    ROWS[_name] = partial(_proxy, _fault, _inside)


@row("a proxy is set that is none; the direct way is open")
def no_proxy(host: Endpoint) -> Seen:
    host.prepare(release_bytes("1.0.0"))
    two = offer(host)
    (host.etc / "proxy.json").write_text(json.dumps({"proxy": "https://ann:s3cret@proxy.example"}))
    host.start()
    host.until_confirmed(two)
    assert "settings" in kinds(host)
    assert "s3cret" not in host.log() + str(host.report())
    return Seen("the newer release", "`settings`", "taken")


@row("a captive portal with a certificate of its own, or any other authority")
def another_authority(host: Endpoint) -> Seen:
    baseline = host.prepare(release_bytes("1.0.0"))
    offer(host)
    plain = json.loads((host.etc / "agent.json").read_text())
    pem = ensure_tls(host.base / "other", (), SystemClock()).ca_file.read_text()
    (host.etc / "agent.json").write_text(json.dumps(plain | {"ca_pem": pem}))
    return runs_the_good_one(host, baseline, "unreachable")


# --- trust ------------------------------------------------------------------------------------------------------------


def _expired(role: str, host: Endpoint) -> Seen:
    host.cell.repository.lifetimes_d[role] = -1
    host.cell.repository.roots[0] = host.cell.repository.root_text()
    baseline = host.prepare(release_bytes("1.0.0"))
    offer(host)
    return runs_the_good_one(host, baseline, "metadata_expired")


for _role in ("root", "targets", "snapshot", "timestamp"):
    ROWS[f"{_role} has expired"] = partial(_expired, _role)


@row("timestamp has expired, and what runs is recalled")
def recalls_hold(host: Endpoint) -> Seen:
    host.cell.repository.lifetimes_d["timestamp"] = -1
    baseline = host.prepare(release_bytes("1.0.0"))
    host.cell.repository.recalled.append(baseline)
    host.start()
    host.until(lambda: baseline in host.report().recalled)
    assert (host.runs("1.0.0"), "metadata_expired" in kinds(host)) == (0, True)
    return Seen("nothing: recalls hold without a date", "`metadata_expired`", NOT_TAKEN)


@row("a cell with other keys, under our own TLS")
def other_keys(host: Endpoint) -> Seen:
    baseline = host.prepare(release_bytes("1.0.0"))
    host.cell.repository = Repository(now_ms=host.cell.repository.now_ms)
    offer(host)
    return runs_the_good_one(host, baseline, "threshold")


@row("the pinned root is no JSON, and nothing is cached")
def no_root(host: Endpoint) -> Seen:
    baseline = host.prepare(release_bytes("1.0.0"))
    offer(host)
    (host.etc / "root.json").write_text("{")
    shutil.rmtree(host.root / "tuf", ignore_errors=True)
    return runs_the_good_one(host, baseline, "malformed")


# --- clocks -----------------------------------------------------------------------------------------------------------


def _clock(host: Endpoint, offset: Path) -> None:
    """The launcher's wall clock, and that of its looks, is off by what stands in a file; monotonic time is true."""
    host.environment = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    host.wrap = ("env", "-u", "FAKETIME", f"FAKETIME_TIMESTAMP_FILE={offset}", f"LD_PRELOAD={preload()}")


def _off(offset: str, host: Endpoint) -> Seen:
    file = host.base / "offset"
    file.write_text(offset)
    _clock(host, file)
    host.prepare(release_bytes("1.0.0"))
    two = offer(host)
    host.start()
    host.until_confirmed(two, 60)
    assert not kinds(host)
    return Seen("the newer release", "nothing: the cell's signed time counts", TAKEN)


def _off_alone(offset: str, host: Endpoint) -> Seen:
    file = host.base / "offset"
    file.write_text(offset)
    _clock(host, file)
    return _address("https://127.0.0.1:9", host)


for _text, _offset in (("10 years back", "-3650d"), ("400 days ahead", "+400d")):
    ROWS[f"the clock is {_text}"] = partial(_off, _offset)
    ROWS[f"the clock is {_text}, and nobody listens there"] = partial(_off_alone, _offset)


@row("the clock jumps back 2 hours in the middle of a trial")
def back_in_mid_trial(host: Endpoint) -> Seen:
    file = host.base / "offset"
    file.write_text("+0")
    _clock(host, file)
    host.knobs |= {"healthy_s": 60}
    host.prepare(release_bytes("1.0.0"))
    wait = 'while not os.path.exists(os.environ["HOME"] + "/go"):\n    time.sleep(0.1)\n'
    two = offer(host, SAY + RAN + READY + wait + GOOD.removeprefix(SAY + RAN + READY))
    host.start()
    host.until(lambda: host.report().trial == two and host.runs("2.0.0") == 1, what="a trial")
    file.write_text("-2h")
    looks = len(host.cell.asked)
    host.until(lambda: len(host.cell.asked) > looks, what="a look by the other clock")
    assert host.report().trial == two
    (host.home / "go").touch()
    host.until_confirmed(two)
    assert (host.runs("2.0.0"), kinds(host)) == (1, set())
    return Seen("the newer release, executed once", "nothing: probation is counted in monotonic time", TAKEN)


# --- the disk ---------------------------------------------------------------------------------------------------------


def _until_it_runs(host: Endpoint, words: str) -> None:
    """Where no report can be written: it runs, and the journal says why there is no more."""
    host.start()
    host.until(lambda: host.runs("1.0.0") == 1, what="the last good release")
    host.until(lambda: words in host.log(), what=words)
    assert host.runs("2.0.0") == 0


@row("the disk is full")
def full_disk(host: Endpoint) -> Seen:
    host.prepare(release_bytes("1.0.0"))
    two = offer(host)
    with small_disk(host):
        filler = host.root / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as f:
            while True:
                f.write(bytes(4096))
        words = "report.json cannot be written: No space left on device"
        _until_it_runs(host, words)
        filler.unlink()
        host.until_confirmed(two)
    return Seen(LAST_GOOD, f"`{words}`", TAKEN_AFTERWARDS)


@row("the disk is read-only")
def read_only_disk(host: Endpoint) -> Seen:
    host.prepare(release_bytes("1.0.0"))
    two = offer(host)
    with small_disk(host):
        subprocess.run(["mount", "-o", "remount,ro", str(host.root)], check=True)
        words = "the launcher's record cannot be written: Read-only file system"
        _until_it_runs(host, words)
        subprocess.run(["mount", "-o", "remount,rw", str(host.root)], check=True)
        host.until_confirmed(two)
    return Seen(LAST_GOOD, f"`{words}`", TAKEN_AFTERWARDS)


@row("somebody else holds a lock on every file of the launcher")
def locked_files(host: Endpoint) -> Seen:
    host.prepare(release_bytes("1.0.0"))
    two = offer(host)
    with contextlib.ExitStack() as held:
        for path in [p for p in host.base.rglob("*") if p.is_file()]:
            file = held.enter_context(path.open("r+b"))
            fcntl.flock(file, fcntl.LOCK_EX)
            fcntl.lockf(file, fcntl.LOCK_EX)
        host.start()
        host.until_confirmed(two)
    assert not kinds(host)
    return Seen("the newer release", "nothing: it waits for no lock", TAKEN)


@row("both records are corrupt")
def both_records_corrupt(host: Endpoint) -> Seen:
    baseline = host.prepare(release_bytes("1.0.0"))
    for slot in SLOTS:
        (host.root / slot).write_bytes(b"\xff" * 4096)
    host.cell.misbehave = partial(_status, 500)
    return runs_the_good_one(host, baseline, "state_lost")


# --- the host's death: within the delays of the host guard ------------------------------------------------------------


def _host_dies(host: Endpoint, baseline: str) -> None:
    """It runs, the host dies at once, and boots again while nobody listens there."""
    host.wrap = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")  # PID 1 of its own: another boot id
    host.knobs |= {"survive_s": 600}
    host.cell.misbehave = partial(_status, 500)
    host.start()
    host.until_running(baseline)
    host.until(lambda: host.runs("1.0.0") == 1)
    host.stop(9)
    host.start()
    host.until(lambda: host.report().host_guard, what="the host guard")


@row("nobody answers after the host has died right after the start")
def host_died(host: Endpoint) -> Seen:
    baseline = host.prepare(release_bytes("1.0.0"))
    _host_dies(host, baseline)
    assert host.runs("1.0.0") == 1
    host.until(lambda: host.runs("1.0.0") == 2 and host.report().running == baseline, what="after its delay")
    return Seen(f"{LAST_GOOD}, after its delay", "`host_guard`", NOT_TAKEN)


@row("the same, and both records are corrupt too")
def host_died_with_its_records(host: Endpoint) -> Seen:
    baseline = host.prepare(release_bytes("1.0.0"))
    _host_dies(host, baseline)
    host.stop(9)
    for slot in SLOTS:
        (host.root / slot).write_bytes(b"\xff" * 4096)
    host.start()
    host.until(lambda: host.runs("1.0.0") == 2 and "state_lost" in kinds(host), what="the last good release")
    return Seen(LAST_GOOD, "`state_lost`", NOT_TAKEN)


def test_the_document_has_these_rows_and_no_others() -> None:
    told = [x.split(" | ")[0].removeprefix("| ") for x in DOCUMENT.read_text().splitlines() if x.startswith("| ")]
    assert told[1:] == list(ROWS)
    assert set(ALIKE) < set(ROWS)
    assert DOCUMENT.read_text().startswith(HEAD)


def _rewrite() -> None:
    lines = []
    with (
        tempfile.TemporaryDirectory(prefix="bl-fail-open-") as folder,
        user(f"bl-open-{os.getpid() % 100_000}") as name,
    ):
        Path(folder).chmod(0o755)
        for n, (title, act) in enumerate(ROWS.items()):
            base = Path(folder) / str(n)
            base.mkdir()
            with endpoint(base, Path(folder) / "tls", name) as host:
                lines.append(line(title, act(host)))
            print(lines[-1], file=sys.stderr, flush=True)
    DOCUMENT.write_text(HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    if "--rewrite" not in sys.argv:
        sys.exit("say --rewrite")
    _rewrite()
