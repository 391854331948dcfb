"""A real launcher in a directory of its own, real little releases, and a cell that can be made to misbehave.

The launcher is the real program in a real process, as root with a user of its own for releases; the cell is a real
HTTPS server that serves documents of `support_trust.Repository`. Nothing is patched.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support_trust import ENDPOINT, Repository, bundle

from brakeline.agent import config
from brakeline.launcher import install, selector, stub
from brakeline.launcher.disk import RealDisk
from brakeline.launcher.model import Record
from brakeline.launcher.records import Records
from brakeline.launcher.slots import Selector
from brakeline.platform.clock import SystemClock
from brakeline.platform.tls import TlsFiles, ensure_tls
from brakeline.protocol.codec import decode
from brakeline.protocol.messages import LauncherReport
from brakeline.releases import zipapp
from brakeline.trust import wire
from brakeline.trust.model import Documents, Offered

PYTHON = "/usr/bin/python3"  # as on endpoints: every user may execute it, and it has nothing but its standard library
KNOBS: dict[str, Any] = {
    "check_s": 6, "check_every_s": 1, "ready_s": 3, "probation_s": 1, "healthy_s": 6, "healthy_unreachable_s": 12,
    "restart_s": [0.1, 0.2, 0.3], "lonely_check_s": 0.5, "stop_s": 1, "again_s": 5, "guard_wait_s": 3,
    "guard_delays_s": [4, 6, 8], "launcher_calm_s": 0.5, "launcher_probation_s": 1, "launcher_trial_s": 30,
    "launcher_ready_s": 5,
}  # fmt: skip

SERVICE = """trap 'over=1; kill $child' TERM
while [ -z "$over" ]; do "$@" & child=$!; wait $child; wait $child; sleep 0.1; done"""  # Restart=always

SAY = 'import os, sys, time\nfd = int(os.environ["BRAKELINE_LAUNCHER_FD"])\n'
RAN = 'open(os.environ["HOME"] + "/runs", "a").write({version!r} + "\\n")\n'
READY, HEALTHY = 'os.write(fd, b"READY\\n")\n', 'os.write(fd, b"HEALTHY\\n")\n'
STAY = "while True:\n    time.sleep(0.1)\n"
GOOD = SAY + RAN + READY + HEALTHY + STAY


def release_bytes(version: str, program: str = GOOD, sequence: int = 1, **about: Any) -> bytes:
    """A bundle whose agent is this program; `{version!r}` in it is filled in."""
    return bundle(version, {"agent.pyz": program.replace("{version!r}", repr(version)).encode()}, sequence, **about)


class Cell:
    """Serves `repository`; `misbehave` may take over any request."""

    def __init__(self, repository: Repository, tls: TlsFiles) -> None:
        self.repository = repository
        self.tls = tls
        self.asked: list[str] = []
        self.misbehave: Callable[[BaseHTTPRequestHandler], bool] = lambda _: False
        self.forge: Callable[[Documents], Documents] = lambda genuine: genuine
        cell = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                cell.asked.append(self.path)
                with contextlib.suppress(OSError):
                    if not cell.misbehave(self):
                        cell.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate_file, tls.key_file)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        if parts.path == "/trust/v1/bundle":
            self.repository.now_ms = time.time_ns() // 1_000_000
            genuine = self.repository.documents(parse_qs(parts.query)["nonce"][0])
            send(request, 200, wire.to_text(self.forge(genuine)).encode())
        else:
            data = self.repository.blobs.get(parts.path.rpartition("/")[2])
            send(request, 200 if data else 404, data or b"")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def send(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
    request.send_response(status)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@dataclass
class Endpoint:
    """One launcher's world: its root, what people configure, the home of the agent."""

    base: Path
    user: str
    cell: Cell
    knobs: dict[str, Any] = field(default_factory=lambda: dict(KNOBS))
    budget: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    wrap: tuple[str, ...] = ()  # strace, faketime …
    stubbed: bool = False  # started by the stub, again and again, as a service manager does
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def program(self) -> Path:
        return self.base / "launcher.pyz"

    @property
    def root(self) -> Path:
        return self.base / "root"

    @property
    def lib(self) -> Path:
        return self.base / "lib"

    @property
    def home(self) -> Path:
        return self.base / "home"

    @property
    def etc(self) -> Path:
        return self.base / "etc"

    def prepare(self, baseline: bytes, version: str = "1.0.0", sequence: int = 1) -> str:
        """As the enrolment leaves it: configured, with a first release that counts as confirmed. Its release_id."""
        self.base.chmod(0o755)
        self.program.write_bytes(zipapp.build(product="launcher"))
        for folder in (self.root, self.home, self.etc):
            folder.mkdir()
        account = pwd.getpwnam(self.user)
        os.chown(self.home, account.pw_uid, account.pw_gid)
        (self.etc / "root.json").write_text(self.cell.repository.roots[0])
        self.configure()
        release_id = self.cell.repository.publish(version, baseline, sequence)
        target = self.cell.repository.target(release_id)
        offered = Offered("agent", version, sequence, target.path, target.hashes["sha256"], target.length, "", 0, 0)
        disk = RealDisk(self.root)
        install.install(disk, baseline, offered, "any")
        records = Records(disk)
        records.prepare()
        records.commit(Record(generation=1, current=release_id))
        return release_id

    def under_a_stub(self) -> None:
        """The stub and the factory's launcher where a package puts them; used from the next start on."""
        self.lib.mkdir()
        shutil.copy(stub.__file__, self.lib / "stub.py")
        shutil.copy(self.program, self.lib / "launcher.pyz")
        self.stubbed = True

    def launcher_release(self, version: str, sequence: int, program: bytes) -> str:
        """A signed launcher, leased to everybody beside what is leased already; its release_id."""
        data = bundle(version, {"launcher.pyz": program}, sequence, "launcher", ("@python", "-I", "launcher.pyz"))
        release_id = self.cell.repository.publish(version, data, sequence, product="launcher")
        self.cell.repository.leased.append({"release_id": release_id})
        return release_id

    def selector(self) -> Selector:
        return selector.load(RealDisk(self.root))

    def configure(self) -> None:
        pem = self.cell.tls.ca_file.read_text()
        config.save(self.etc / "agent.json", config.Config(self.cell.url, pem, ENDPOINT, "00" * 32, "cell", "eu"))
        own = {"user": self.user, "knobs": self.knobs, "budget": self.budget, "arguments": []}
        (self.etc / "launcher.json").write_text(json.dumps(own))

    def start(self) -> None:
        places = ["--root", str(self.root), "--etc", str(self.etc), "--home", str(self.home)]
        command = [*self.wrap, PYTHON, "-I", str(self.program), "run", *places]
        if self.stubbed:
            stub = [*self.wrap, PYTHON, "-I", str(self.lib / "stub.py"), "--root", str(self.root), "run", *places]
            command = ["bash", "-c", SERVICE, "service", *stub]
        with (self.base / "log").open("ab") as out:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=out, start_new_session=True, env=os.environ | self.environment
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the launcher; with SIGKILL everything of it, as a power cut or the service manager would."""
        assert self.process is not None
        if number == signal.SIGKILL:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, number)
            self.process.wait(10)
            subprocess.run(["pkill", "-KILL", "-f", f"check --root {self.root}"], check=False)  # the look: a session
            self.kill_releases()
        else:
            self.process.send_signal(number)
        status = self.process.wait(15)
        self.process = None
        return status

    def kill_releases(self) -> None:
        subprocess.run(["pkill", "-KILL", "-u", self.user], check=False)

    def left(self) -> list[str]:
        """Processes of the releases' user that are not dead already (pid and command)."""
        done = subprocess.run(
            ["ps", "-u", self.user, "-o", "stat=,pid=,args="], capture_output=True, text=True, check=False
        )
        return [line for line in done.stdout.splitlines() if not line.startswith("Z")]

    def restart(self) -> None:
        self.stop()
        self.start()

    def report(self) -> LauncherReport:
        try:
            return decode(LauncherReport, (self.root / "report.json").read_bytes())
        except OSError:
            return LauncherReport()

    def record(self) -> Record:
        return Records(RealDisk(self.root)).load()[0]

    def runs(self, version: str) -> int:
        """How often a release of this version was really executed, as it says itself."""
        try:
            return (self.home / "runs").read_text().splitlines().count(version)
        except OSError:
            return 0

    def log(self) -> str:
        return (self.base / "log").read_text(errors="replace")

    def until(self, true: Callable[[], object], seconds: float = 60.0, what: str = "it") -> float:
        """Wait for something to become true; how long that took."""
        began = time.monotonic()
        while not true():
            if time.monotonic() - began > seconds:
                raise AssertionError(f"{what} did not come true in {seconds} s: {self.report()}\n{self.log()[-3000:]}")
            time.sleep(0.05)
        return time.monotonic() - began

    def until_confirmed(self, release_id: str, seconds: float = 60.0) -> float:
        return self.until(lambda: self.report().confirmed == release_id, seconds, f"{release_id} confirmed")

    def until_running(self, release_id: str, seconds: float = 60.0) -> float:
        return self.until(lambda: self.report().running == release_id, seconds, f"{release_id} running")

    def until_quarantined(self, release_id: str, seconds: float = 90.0) -> float:
        return self.until(lambda: release_id in self.report().quarantined, seconds, f"{release_id} quarantined")


@contextlib.contextmanager
def user(name: str) -> Iterator[str]:
    """A system user for releases, so that killing all that they start hits nobody else."""
    subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", name], check=False)
    try:
        yield name
    finally:
        subprocess.run(["pkill", "-KILL", "-u", name], check=False)
        subprocess.run(["userdel", name], check=False, capture_output=True)


@contextlib.contextmanager
def endpoint(base: Path, tls_folder: Path, user_name: str) -> Iterator[Endpoint]:
    """An endpoint that is not started yet."""
    cell = Cell(Repository(now_ms=time.time_ns() // 1_000_000), ensure_tls(tls_folder, (), SystemClock()))
    made = Endpoint(base, user_name, cell)
    try:
        yield made
    finally:
        if made.process is not None:
            with contextlib.suppress(Exception):
                made.stop(signal.SIGKILL)
        made.kill_releases()
        cell.close()
