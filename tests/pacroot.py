"""A root file system that the real pacman manages: *real manager, synthetic distribution*.

An overlay of this machine's own root in mount and pid namespaces of its own, its upper layer on a sized tmpfs. Into
that, never onto the machine, the files of Debian's pacman packages are unpacked; pacman then owns exactly what the test
publishes. When the root's first process ends, everything is gone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.archrepo import Built, Repository
from tests.support import require
from tools.fleetbox import settings

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt.runner import Machine
from brakeline.agent.providers.model import Bounds, Order, Planned, Refreshed, Refused
from brakeline.agent.providers.pacman import PacmanProvider
from brakeline.protocol.messages import Transaction, TransactionResult, UpdateRef

PACKAGES = ("pacman-package-manager", "libalpm13", "libgpgme11", "makepkg")
WORK_DIR = "/var/lib/brakeline-helper/tx"
START = """
mount --make-rprivate /
mount -t tmpfs -o size="$1",mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
for deb in "$2"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner -C /mnt/root
done
mount --rbind /dev /mnt/root/dev
mount -t proc proc /mnt/root/proc
mount -t tmpfs tmpfs /mnt/root/run
rm -rf /mnt/root/.dockerenv /mnt/root/var/cache/brakeline /mnt/root/var/lib/brakeline-helper /mnt/root/var/lib/pacman
mkdir -p /mnt/root/old /mnt/root/var/lib/pacman/sync /mnt/root/var/lib/pacman/local /mnt/root/var/cache/pacman/pkg
cd /mnt/root
pivot_root . old
umount -l /old
rmdir /old
ldconfig
echo ready
exec sleep infinity
"""


@cache
def debs() -> Path:
    """The cached packages; needs root, and Debian's archive once."""
    require(os.geteuid() == 0, "root, for namespaces and mounts")
    require(shutil.which("dpkg-deb") and shutil.which("gpg"), "dpkg and gnupg")
    place = settings.place("pactest").cache / "pacman-debs"
    if len(list(place.glob("*.deb"))) < len(PACKAGES):
        place.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "-q", "download", *PACKAGES], cwd=place, capture_output=True, check=False)
        require(done.returncode == 0, f"Debian's packages of pacman: {done.stderr.decode()[-200:]}")
    return place


@dataclass
class Arch:
    """One endpoint's root, alive until the `with` ends."""

    machine: Machine
    pid: int
    repository: Repository
    said: list[str] = field(default_factory=list)

    @property
    def provider(self) -> PacmanProvider:
        return PacmanProvider(SystemClock(), self.machine, WORK_DIR)

    def sh(self, script: str, timeout_s: float = 120) -> str:
        """Run a shell script inside; it must succeed."""
        ran = self.machine.query("sh", "-euc", script, timeout_s=timeout_s)
        assert ran.rc == 0, f"{script}\n{ran.text}"
        return ran.text

    def configure(self, options: str = "SigLevel = Never", repository: str = "") -> None:
        lines = f"[options]\nArchitecture = auto\n{options}\n[{self.repository.name}]\n"
        lines += f"{repository}\nServer = {self.repository.server}\n"
        self.machine.path("/etc/pacman.conf").write_text(lines)

    def install(self, *packages: Built) -> None:
        """Publish these and have them installed and in the cache, by pacman itself; then refresh, as we do."""
        self.repository.publish(*packages)
        self.sh(f"pacman -Sy --noconfirm {' '.join(p.name for p in packages)}")
        self.refresh()

    def publish(self, *packages: Built) -> None:
        """Newer versions in the repository, and in our copy of its database."""
        self.repository.publish(*packages)
        self.refresh()

    def refresh(self) -> None:
        answer = self.provider.refresh()
        assert isinstance(answer, Refreshed), answer

    def version(self, name: str) -> str:
        """As pacman itself has it; "" = not installed."""
        ran = self.machine.query("pacman", "-Q", name)
        return ran.text.split()[1] if ran.rc == 0 else ""

    def plan(self, *updates: tuple[str, str], bounds: Bounds | None = None) -> Transaction:
        planned = self.provider.plan(tuple(UpdateRef(*u) for u in updates), bounds or Bounds())
        assert isinstance(planned, Planned), planned
        return planned.transaction

    def refusal(self, *updates: tuple[str, str], bounds: Bounds | None = None) -> Refused:
        planned = self.provider.plan(tuple(UpdateRef(*u) for u in updates), bounds or Bounds())
        assert isinstance(planned, Refused), planned
        return planned

    def apply(self, transaction: Transaction, bounds: Bounds | None = None, number: int = 1) -> TransactionResult:
        return self.provider.apply(order(transaction, bounds, number), self.said.append)


def order(transaction: Transaction, bounds: Bounds | None = None, number: int = 1) -> Order:
    return Order(f"tx_{number}", f"of_{number}", "ro_1", 1, transaction, bounds or Bounds())


@contextmanager
def arch(*, size_mib: int = 200, signed_by: str = "", faked_time: str = "") -> Iterator[Arch]:
    """A fresh root with one empty repository."""
    place = debs()
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    with tempfile.TemporaryDirectory() as work:
        repository = Repository(Path(work), signed_by=signed_by, faked_time=faked_time)
        holder = subprocess.Popen(
            [*command, "sh", "-euc", START, "sh", f"{size_mib}m", str(place)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "ready\n", "the root could not be mounted"
            pid = int(Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0])
            prefix = ("nsenter", "--mount", "--pid", "--root", "--wdns=/", f"--target={pid}")
            made = Arch(Machine(prefix, Path(f"/proc/{pid}/root"), "/usr/bin/python3", 5.0), pid, repository)
            made.configure()
            yield made
        finally:
            holder.kill()
            holder.communicate()
            repository.stop()
