"""A whole machine to cut the power of: Debian with its own kernel under qemu, the launcher as its service.

The base image is built once and cached by what went into it. No KVM is needed and none is used: a boot takes 20 s and
more. The guest reaches a cell on this machine's loopback through qemu's own network, by the address 10.0.2.2.
`power_cut` is kill -9 of qemu: the guest's page cache is gone, what it has synced is in the image. A drive that loses
its own cache is not modelled. Needs root, mmdebstrap, qemu-system-x86.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.fleetbox import services, settings, sources

HOST_SEEN_FROM_INSIDE = "10.0.2.2"
RECIPE = 1  # raise when the steps below change in a way that their inputs do not show
PACKAGES = ("systemd", "systemd-sysv", "udev", "kmod", "python3", "iproute2", "linux-image-cloud-amd64",
            "initramfs-tools", "zstd")  # fmt: skip
SIZE_MIB, MEMORY_MIB = 1400, 1024
NETWORK = "[Match]\nName=eth0\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\nLinkLocalAddressing=no\n"
KERNEL = "root=/dev/vda rw console=ttyS0 quiet net.ifnames=0 systemd.show_status=0 mitigations=off panic=-1"
HOOK = (
    'chroot "$1" useradd --system --create-home --home-dir /var/lib/brakeline --shell /usr/sbin/nologin brakeline; '
    'chroot "$1" systemctl enable systemd-networkd; chroot "$1" systemctl mask apt-daily.timer apt-daily-upgrade.timer'
)


def lacks() -> str:
    """What is missing to run guests here, "" = nothing."""
    if os.geteuid() != 0:
        return "root (builds a disk with devices and owners, mounts it)"
    missing = [p for p in ("qemu-system-x86_64", "mmdebstrap", "mkfs.ext4") if not shutil.which(p)]
    return f"programs: {', '.join(missing)}" if missing else ""


def base_image() -> Path:
    """The directory with disk.img, vmlinuz and initrd.img, built if it is not cached."""
    place, source = settings.place("guest"), sources.archive()
    recipe = repr((RECIPE, PACKAGES, SIZE_MIB, NETWORK, HOOK, source.main.as_http))
    final = place.cache / "guests" / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    if final.exists():
        return final
    beside = final.with_suffix(".building")
    shutil.rmtree(beside, ignore_errors=True)
    root = beside / "root"
    root.mkdir(parents=True)
    with services.proxy_on_loopback(place, source) as proxy:
        _run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory",
             f"--include={','.join(PACKAGES)}", f"--keyring={source.keyring}",
             f'--aptopt=Acquire::http::Proxy "{proxy}"', f"--customize-hook={HOOK}",
             "bookworm", str(root), f"deb {source.main.as_http} bookworm main")  # fmt: skip
    for name in ("vmlinuz", "initrd.img"):
        shutil.copyfile(next(root.glob(f"boot/{name}-*")), beside / name)
    (root / "etc/systemd/network/10-eth0.network").write_text(NETWORK)
    (root / "etc/fstab").write_text("/dev/vda / ext4 rw,errors=remount-ro 0 1\n")
    (root / "etc/machine-id").write_text("")
    _run("truncate", "-s", f"{SIZE_MIB}M", str(beside / "disk.img"))
    _run("mkfs.ext4", "-q", "-d", str(root), str(beside / "disk.img"))
    shutil.rmtree(root)
    os.sync()
    beside.rename(final)
    return final


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed ({done.returncode}):\n{done.stdout[-3000:]}"


@dataclass
class Guest:
    """One machine; `folder` holds its disk and what it has written to its console, boot after boot."""

    folder: Path
    base: Path
    qemu: subprocess.Popen[bytes] | None = None
    boots: int = 0

    def __post_init__(self) -> None:
        _run("cp", "--sparse=always", str(self.base / "disk.img"), str(self.disk))

    @property
    def disk(self) -> Path:
        return self.folder / "disk.img"

    @contextlib.contextmanager
    def opened(self) -> Iterator[Path]:
        """Its root file system, while it is off."""
        assert self.qemu is None
        at = self.folder / "mnt"
        at.mkdir(exist_ok=True)
        _run("mount", "-o", "loop", str(self.disk), str(at))
        try:
            yield at
        finally:
            _run("umount", str(at))

    def boot(self) -> None:
        self.boots += 1
        drive = f"file={self.disk},if=virtio,format=raw,cache=writeback"
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=256", "-cpu", "max",
                   "-smp", "1", "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none", "-no-reboot",
                   "-kernel", str(self.base / "vmlinuz"), "-initrd", str(self.base / "initrd.img"), "-append", KERNEL,
                   "-drive", drive, "-nic", "user,model=virtio-net-pci",
                   "-serial", f"file:{self.folder / f'console-{self.boots}'}"]  # fmt: skip
        with (self.folder / "qemu.log").open("ab") as out:
            self.qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def console(self, boot: int = 0) -> str:
        """What it has written since this boot."""
        with contextlib.suppress(OSError):
            return (self.folder / f"console-{boot or self.boots}").read_text(errors="replace").replace("\r", "")
        return ""

    def until(self, true: Callable[[], object], what: str, seconds: float) -> float:
        """Wait; how long that took."""
        began = time.monotonic()
        while not true():
            assert self.qemu is not None
            ended = "qemu has ended" if self.qemu.poll() is not None else ""
            late = "not in time" if time.monotonic() - began > seconds else ""
            assert not (ended + late), f"{what}: {ended or late}\n{self.console()[-4000:]}"
            time.sleep(0.02)
        return time.monotonic() - began

    def power_cut(self) -> None:
        if self.qemu is not None:
            self.qemu.kill()
            self.qemu.wait(30)
            self.qemu = None
