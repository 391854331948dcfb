"""Endpoints: launcher and agent as they are, each in a process namespace of its own that can die like a host.

Everything below PID 1 of the namespace dies with it at once and the next one has another boot id, as the launcher
sees it; the disk keeps what was written. What is not like a host: kernel, clock and page cache are this machine's.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import pwd
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tools.badreleases.catalogue import COUNTED, DEATH
from tools.badreleases.cell import Cell

from brakeline.launcher import install, stub
from brakeline.launcher.disk import RealDisk
from brakeline.launcher.model import Record
from brakeline.launcher.records import Records
from brakeline.protocol.codec import Malformed, decode
from brakeline.protocol.messages import LauncherReport
from brakeline.releases import zipapp
from brakeline.releases.build import Built
from brakeline.trust.model import Offered

PYTHON = "/usr/bin/python3"
KNOBS: dict[str, Any] = {  # everything that takes hours and minutes on endpoints, in seconds
    "check_s": 10, "check_every_s": 20, "ready_s": 12, "probation_s": 5, "healthy_s": 15, "healthy_unreachable_s": 20,
    "survive_s": 20, "guard_wait_s": 10, "guard_delays_s": [20, 40, 60], "restart_s": [0.2, 0.5, 1, 2, 5],
    "again_s": 600, "lonely_check_s": 5, "stop_s": 2, "launcher_calm_s": 2, "launcher_ready_s": 15,
    "launcher_probation_s": 5, "launcher_trial_s": 120,
}  # fmt: skip
BUDGET = {"home_bytes": 64 << 20, "resident_bytes": 128 << 20, "memory_bytes": 512 << 20, "log_bytes_per_s": 32 << 10}


@dataclass
class Endpoint:
    """One endpoint below `base`, whose releases run as `user`."""

    name: str
    base: Path
    user: str
    knobs: Mapping[str, Any] = field(default_factory=lambda: KNOBS)
    process: subprocess.Popen[bytes] | None = None
    deaths: int = 0
    ended: threading.Event = field(default_factory=threading.Event)

    def install(self, cell: Cell, root: str, seed: Built, token: str) -> None:
        """Launcher, pinned root, an identity: as enrolment leaves it, but for a release to run."""
        for folder in (self.base, self.base / "etc", self.base / "home", self.base / "lib"):
            folder.mkdir(mode=0o755, exist_ok=True)
        (self.base / "lib/launcher.pyz").write_bytes(zipapp.build(product="launcher"))
        shutil.copy(stub.__file__, self.base / "lib/stub.py")
        (self.base / "etc/root.json").write_text(root)
        with tarfile.open(fileobj=io.BytesIO(seed.bundle)) as tar:
            tar.extract("agent.pyz", self.base, filter="data")
        self._enrol(cell, token)
        self.configure()

    def configure(self) -> None:
        """What people set: here, everything that takes long, made short."""
        arguments = ["run", "--config", str(self.base / "etc/agent.json"), "--state", str(self.base / "home")]
        own = {"user": self.user, "knobs": dict(self.knobs), "budget": BUDGET, "arguments": arguments}
        (self.base / "etc/launcher.json").write_text(json.dumps(own))

    def keep(self, *releases: Built) -> None:
        """Install releases as the launcher does after it has verified them."""
        (self.base / "root").mkdir(mode=0o755, exist_ok=True)
        for one in releases:
            path = f"agent/{one.version}/any/bundle.tar"
            offered = Offered("agent", one.version, one.sequence, path, one.sha256, len(one.bundle), "", 0, 0)
            install.install(RealDisk(self.base / "root"), one.bundle, offered, "any")

    def remember(self, record: Record) -> None:
        """The launcher's first record."""
        records = Records(RealDisk(self.base / "root"))
        records.prepare()
        records.commit(record)

    def _enrol(self, cell: Cell, token: str) -> None:
        account = pwd.getpwnam(self.user)
        os.chown(self.base / "home", account.pw_uid, account.pw_gid)
        command = [
            PYTHON, "-I", str(self.base / "agent.pyz"), "enrol", "--server", cell.url, "--token", token, "--ca",
            cell.context["ca_file"], "--config", str(self.base / "etc/agent.json"), "--state", str(self.base / "home"),
            "--user", self.user,
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True)

    def boot(self) -> None:
        """Start its PID 1, which starts stub and launcher and buries whatever is left behind, as any init does."""
        places = " ".join(f"--{n} {self.base / n}" for n in ("root", "etc", "home"))
        start = f"{PYTHON} -I {self.base}/lib/stub.py --root {self.base}/root run {places}"
        shell = f"while :; do {start} & wait $!; sleep 0.2; done"
        command = ["unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "bash", "-c", shell]
        with (self.base / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def die(self) -> None:
        """Every process of it, at once."""
        if self.process is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(20)
            self.process = None
        subprocess.run(["pkill", "-KILL", "-u", self.user], check=False)

    def watch(self) -> None:
        """Take it down whenever a release wants that, and boot it again: what such a release does to a host."""
        wish = self.base / "home" / DEATH
        while not self.ended.wait(0.1):
            if wish.exists():
                self.die()
                wish.unlink(missing_ok=True)
                self.deaths += 1
                self.ended.wait(1.0)
                if not self.ended.is_set():
                    self.boot()

    def report(self) -> LauncherReport:
        """What its launcher says now."""
        try:
            return decode(LauncherReport, (self.base / "root/report.json").read_bytes())
        except (OSError, Malformed):
            return LauncherReport()

    def runs(self, version: str) -> int:
        """How often a release was executed: its own count, or the launcher's where it was too broken to count."""
        try:
            return (self.base / "home" / COUNTED).read_text().splitlines().count(version)
        except OSError:
            return 0

    def until(self, true: Any, seconds: float) -> bool:
        """Whether it became true in time."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True
