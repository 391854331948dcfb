"""Real Debian root file systems for tests: overlay clones of the cached root, each in mount and pid namespaces of
its own, its upper layer on a sized tmpfs inside them. When the clone's first process ends, everything is gone.

The root is the one of the fleet in a box (`tools.fleetbox.rootfs`): main suite only, so security updates are pending.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.aptrepo import Repository
from tests.support import require
from tools.fleetbox import cgroups, rootfs, settings

from brakeline.agent.clock import SystemClock
from brakeline.agent.providers.apt import AptProvider, Machine
from brakeline.agent.providers.model import Bounds, Order, Planned, Refused
from brakeline.protocol.messages import Transaction, TransactionResult, UpdateRef

SOURCE = Path(__file__).resolve().parents[1] / "src"
WORK_DIR = "/var/lib/brakeline-helper/tx"
START = """
mount --make-rprivate /
mount -t tmpfs -o size="$2",mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
mount --rbind /dev /mnt/root/dev
mount -t proc proc /mnt/root/proc
mount -t tmpfs tmpfs /mnt/root/run
mkdir -p /mnt/root/srv/source && mount --bind "$3" /mnt/root/srv/source
cp -L /etc/resolv.conf /mnt/root/etc/resolv.conf
: > /mnt/root/etc/fstab
mkdir -p /mnt/root/old
cd /mnt/root
pivot_root . old
umount -l /old  # a real root: in a chroot apt takes every phased update
rmdir /old
echo ready
exec sleep infinity
"""

BOOT = """
mount --make-rprivate /
mount -t tmpfs -o size="$2",mode=755 tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
exec systemd-nspawn --quiet --register=no --keep-unit --directory=/mnt/root --machine=apttest --hostname=apttest \\
    --console=pipe --resolv-conf=off --timezone=off --link-journal=no --boot
"""


@cache
def layers() -> rootfs.Layers:
    """The cached layers; needs root and a Debian archive once."""
    require(os.geteuid() == 0, "root, for namespaces and mounts")
    require(shutil.which("mmdebstrap") and shutil.which("apt-ftparchive"), "mmdebstrap and apt-utils")
    try:
        return rootfs.ensure(settings.place("apttest"), lambda _: None)
    except settings.FleetError as e:
        require(False, f"a Debian root file system: {e}")
        raise


@dataclass
class Clone:
    """One endpoint's root file system, alive until the `with` ends."""

    machine: Machine
    pid: int
    said: list[str] = field(default_factory=list)

    @property
    def provider(self) -> AptProvider:
        return AptProvider(SystemClock(), self.machine, WORK_DIR)

    def sh(self, script: str, timeout_s: float = 120) -> str:
        """Run a shell script inside; it must succeed."""
        ran = self.machine.query("sh", "-euc", script, timeout_s=timeout_s)
        assert ran.rc == 0, f"{script}\n{ran.text}"
        return ran.text

    def use(self, *repositories: Repository) -> None:
        """Have exactly these repositories as sources, with fresh lists."""
        lines = "\n".join(r.source for r in repositories)
        write = f"rm -f /etc/apt/sources.list.d/*; printf '%s\\n' '{lines}' > /etc/apt/sources.list"
        self.sh(f"{write}; apt-get -q -eany update")

    def version(self, name: str) -> str:
        """State and version as dpkg itself has them; "" = unknown to dpkg."""
        ran = self.machine.query("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Version}", name)
        return " ".join(ran.text.split()) if ran.rc == 0 and not ran.text.startswith("un") else ""

    def plan(self, *updates: tuple[str, str], bounds: Bounds | None = None) -> Transaction:
        """The planned transaction; it must not be refused."""
        planned = self.provider.plan(tuple(UpdateRef(*u) for u in updates), bounds or Bounds())
        assert isinstance(planned, Planned), planned
        return planned.transaction

    def refusal(self, *updates: tuple[str, str], bounds: Bounds | None = None) -> Refused:
        planned = self.provider.plan(tuple(UpdateRef(*u) for u in updates), bounds or Bounds())
        assert isinstance(planned, Refused), planned
        return planned

    def apply(self, transaction: Transaction, bounds: Bounds | None = None, number: int = 1) -> TransactionResult:
        return self.provider.apply(order(transaction, bounds, number), self.said.append)

    def agent(self, *arguments: str, timeout_s: float = 300) -> str:
        """Run a module of the agent inside the clone, with the clone's own Python."""
        words = ("env", "PYTHONPATH=/srv/source", "PYTHONDONTWRITEBYTECODE=1", "/usr/bin/python3", *arguments)
        return self.machine.query(*words, timeout_s=timeout_s).text


def order(transaction: Transaction, bounds: Bounds | None = None, number: int = 1) -> Order:
    return Order(f"tx_{number}", f"of_{number}", "ro_1", 1, transaction, bounds or Bounds())


@contextmanager
def clone(
    *, with_lists: bool = False, size_mib: int = 600, stop_grace_s: float = 5.0, more: tuple[str, ...] = ()
) -> Iterator[Clone]:
    """A fresh clone. `with_lists`: Debian's main and security sources with their lists; else no sources at all.

    `more`: directories of files that lie above the root's own.
    """
    built = layers().directories
    lower = ":".join((*more, *(built if with_lists else built[-1:])))
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    holder = subprocess.Popen(
        [*command, "sh", "-euc", START, "sh", lower, f"{size_mib}m", str(SOURCE)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n", "the clone could not be mounted"
        children = Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()
        pid = int(children[0])
        prefix = ("nsenter", "--mount", "--pid", "--root", "--wdns=/", f"--target={pid}")
        machine = Machine(prefix, Path(f"/proc/{pid}/root"), "/usr/bin/python3", stop_grace_s)
        yield Clone(machine, pid)
    finally:
        holder.kill()
        holder.communicate()


@contextmanager
def booted(*, size_mib: int = 600) -> Iterator[Clone]:
    """A clone with systemd as its first process, in a container with this machine's network."""
    require(shutil.which("systemd-nspawn"), "systemd-nspawn")
    for left in cgroups.groups("bl-apttest-"):  # of a test run that was killed
        if left.exists() and not Path(f"/proc/{left.name.rpartition('-')[2]}").exists():
            cgroups.kill_all(left.name)
            cgroups.remove(left.name)
    group = f"bl-apttest-{os.getpid()}"
    cgroups.create(group, limited=False)
    joined = "; ".join(f"echo $$ > {root / group}/cgroup.procs" for root in cgroups.hierarchies())
    command = ["setpriv", "--pdeathsig", "KILL", "sh", "-euc", f'{joined}; exec "$@"', "sh", "unshare", "--mount"]
    holder = subprocess.Popen(
        [*command, "sh", "-euc", BOOT, "sh", ":".join(layers().directories[-1:]), f"{size_mib}m"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        pid = _leader(holder.pid)
        prefix = ("nsenter", f"--target={pid}", "--mount", "--pid", "--uts", "--ipc", "--root", "--wdns=/")
        made = Clone(Machine(prefix, Path(f"/proc/{pid}/root"), "/usr/bin/python3", 5.0), pid)
        states = ("running", "degraded")
        eventually(
            lambda: made.machine.query("systemctl", "is-system-running").text.strip() in states, "systemd has started"
        )
        yield made
    finally:
        holder.kill()
        cgroups.kill_all(group)
        holder.wait()
        cgroups.remove(group)


def _leader(holder: int) -> int:
    """Pid of the container's first process: the only child of nspawn."""
    found: list[str] = []

    def look() -> bool:
        found[:] = Path(f"/proc/{holder}/task/{holder}/children").read_text().split()
        try:
            return bool(found) and Path(f"/proc/{found[0]}/comm").read_text().strip() == "systemd"
        except OSError:  # it has ended between the two looks
            return False

    eventually(look, "nspawn has started systemd")
    return int(found[0])


def eventually(condition: Callable[[], object], what: str, within_s: float = 90.0) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.02)
