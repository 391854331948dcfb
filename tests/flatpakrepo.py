"""A remote of flatpak on the loopback, refs made by hand, and an endpoint with a system-wide installation under a root.

Real flatpak and OSTree on real files; the remote and all it has are the test's own (*real manager, synthetic
packages*).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

from tests.support import require

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine, Ran
from brakeline.agent.providers.flatpak import FlatpakProvider

APP, RUNTIME, ARCH = "org.example.App", "org.example.Platform", os.uname().machine
REF = f"app/{APP}/{ARCH}/stable"
LABEL = f"flatpak-{ARCH}-stable"


class _Quiet(SimpleHTTPRequestHandler):
    hangs = threading.Event()

    def do_GET(self) -> None:
        if self.hangs.is_set():
            threading.Event().wait(60)  # longer than anybody waits in a test; the thread is a daemon
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        return


class Remote:
    """A repository of OSTree in archive mode; `stop` takes it off the network, `hang` lets it never answer."""

    def __init__(self, directory: Path, gpg_home: Path | None = None) -> None:
        self.directory, self.made, self.hangs = directory, 0, threading.Event()
        self.signed = [f"--gpg-sign={_key(gpg_home)}", f"--gpg-homedir={gpg_home}"] if gpg_home else []
        self.gpg_home = gpg_home
        directory.mkdir()
        handler = type("Handler", (_Quiet,), {"hangs": self.hangs})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(directory / "repo")))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def publish(self, version: str, runtime: str = "1", size: int = 10, name: str = APP) -> str:
        """A commit of the application; its digest. Each is made a minute after the last."""
        metadata = f"[Application]\nname={name}\nruntime={RUNTIME}/{ARCH}/{runtime}\ncommand=run\n"
        return self._export(
            name, metadata, {"files/version": version.encode(), "files/data": os.urandom(size)}, "stable"
        )

    def publish_runtime(self, branch: str = "1", version: str = "1.0") -> str:
        metadata = f"[Runtime]\nname={RUNTIME}\nruntime={RUNTIME}/{ARCH}/{branch}\n"
        return self._export(RUNTIME, metadata, {"usr/version": version.encode()}, branch, "--runtime")

    def _export(self, name: str, metadata: str, files: Mapping[str, bytes], branch: str, *more: str) -> str:
        self.made += 1
        place = self.directory / f"build-{self.made}"
        for part in ("files", "export", "usr"):
            (place / part).mkdir(parents=True)
        (place / "metadata").write_text(metadata)
        for path, data in files.items():
            (place / path).write_bytes(data)
        when = f"--timestamp=2026-11-01T10:{self.made:02}:00Z"
        repo = str(self.directory / "repo")
        _run("flatpak", "build-export", "--disable-sandbox", "--no-update-summary", when, *self.signed, *more, repo,
             str(place), branch)  # fmt: skip
        _run("flatpak", "build-update-repo", *self.signed, repo)
        kind = "runtime" if more else "app"
        return _run("ostree", f"--repo={repo}", "rev-parse", f"{kind}/{name}/{ARCH}/{branch}").strip()

    def corrupt(self, commit: str) -> None:
        """What is sent for every file of the remote is not what its digest says."""
        for path in (self.directory / "repo/objects").rglob("*.filez"):
            path.chmod(0o644)
            path.write_bytes(path.read_bytes()[:-4] + b"evil")
        for path in (self.directory / "repo").glob("deltas*"):
            shutil.rmtree(path)
        assert (self.directory / f"repo/objects/{commit[:2]}/{commit[2:]}.commit").exists()


def _key(home: Path) -> str:
    """A signing key of the test's own."""
    home.mkdir(mode=0o700)
    words = [
        "gpg",
        "--homedir",
        str(home),
        "--batch",
        "--passphrase",
        "",
        "--quick-gen-key",
        "t@example.org",
        "rsa2048",
    ]
    _run(*words, "sign", "never")
    listed = _run("gpg", "--homedir", str(home), "--list-keys", "--with-colons")
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))


def _run(*command: str, **environment: str) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=os.environ | environment
    )  # fmt: skip
    assert done.returncode == 0, (command, done.stderr)
    return done.stdout


@dataclass(frozen=True)
class Under:
    """A real machine whose installation and whose helper's directories lie under `root`: real processes, real files."""

    root: Path

    @property
    def settings(self) -> dict[str, str]:
        places = {"FLATPAK_SYSTEM_DIR": "var/lib/flatpak", "FLATPAK_CONFIG_DIR": "etc/flatpak", "HOME": "root",
                  "FLATPAK_SYSTEM_CACHE_DIR": "var/tmp/flatpak"}  # fmt: skip
        return {name: str(self.root / place) for name, place in places.items()}

    @property
    def machine(self) -> Machine:
        return Machine(("env", *(f"{k}={v}" for k, v in self.settings.items())))

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def query(self, *command: str, timeout_s: float = 60.0) -> Ran:
        return self.machine.query(*command, timeout_s=timeout_s)

    def job(
        self,
        *command: str,
        timeout_s: float,
        log: IO[bytes] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Ran:
        return self.machine.job(*command, timeout_s=timeout_s, log=log, environment=environment)


@dataclass
class Endpoint:
    """One endpoint with version 1.0 of the application, and its runtime."""

    root: Path
    remote: Remote
    commits: dict[str, str] = field(default_factory=dict)

    @property
    def runner(self) -> Under:
        return Under(self.root)

    @property
    def provider(self) -> FlatpakProvider:
        return FlatpakProvider(SystemClock(), self.runner)

    def flatpak(self, *words: str) -> str:
        """flatpak by hand, as the owner would."""
        return _run("flatpak", *words, **self.runner.settings)

    def has(self, name: str = APP) -> str:
        """What is in the deployed application itself; "" = nothing is."""
        try:
            return (self.root / f"var/lib/flatpak/app/{name}/current/active/files/version").read_text()
        except OSError:
            return ""

    def deployed(self) -> str:
        """The commit that flatpak itself lists as deployed, its first twelve digits."""
        rows = self.flatpak("list", "--system", "--columns=ref,active").splitlines()
        return next(
            (commit for ref, _, commit in (r.partition("\t") for r in rows) if ref == REF.removeprefix("app/")), ""
        )


def endpoint(root: Path, remote: Remote) -> Endpoint:
    require(os.geteuid() == 0, "root, who alone changes a system-wide installation")
    require(shutil.which("flatpak") and shutil.which("ostree"), "flatpak and ostree")
    for place in ("root", "etc/flatpak", "var/lib", "var/tmp"):
        (root / place).mkdir(parents=True)
    made = Endpoint(root, remote)
    remote.publish_runtime()
    remote.publish("1.0")
    trust = ["--no-gpg-verify"]
    if remote.gpg_home:
        key = root / "key.gpg"
        _run("gpg", "--homedir", str(remote.gpg_home), "--output", str(key), "--export")
        trust = [f"--gpg-import={key}"]
    made.flatpak("remote-add", "--system", *trust, "example", remote.url)
    made.flatpak("install", "--system", "-y", "--noninteractive", "example", APP)
    return made
