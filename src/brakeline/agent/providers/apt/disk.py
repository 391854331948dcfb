"""Reads what `space` decides on: file systems, where packages have their files, how much is downloaded already."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass

from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.apt.space import FileSystem, Unpacking
from brakeline.protocol.messages import Action, ActionKind

PLACES = (
    "/",
    "/usr",
    "/boot",
    "/boot/efi",
    "/var",
    "/var/lib",
    "/var/cache",
    "/var/cache/apt/archives",
    "/opt",
    "/etc",
    "/srv",
)
ARCHIVES = "/var/cache/apt/archives"
FILES_LOOKED_AT_MAX = 20_000  # of one package; kernels have about 4,000
NEW_INITRD_BYTES = 64 * 1024 * 1024  # when there is none to go by


@dataclass(frozen=True, slots=True)
class Disk:
    """The file systems of one endpoint."""

    runner: Runner

    def mounts(self) -> dict[str, str]:
        """Each of PLACES that exists -> the first of them on the same file system."""
        first: dict[int, str] = {}
        found = {}
        for place in PLACES:
            try:
                device = os.stat(self.runner.path(place)).st_dev
            except OSError:
                continue
            found[place] = first.setdefault(device, place)
        return found

    def systems(self, mounts: Mapping[str, str]) -> tuple[FileSystem, ...]:
        """Free bytes for root, on each distinct file system."""
        found = []
        for mount in dict.fromkeys(mounts.values()):
            v = os.statvfs(self.runner.path(mount))
            found.append(FileSystem(mount, v.f_bfree * v.f_frsize))
        return tuple(found)

    def unpacking(self, action: Action, new_kib: int, was: Installed | None, mounts: Mapping[str, str]) -> Unpacking:
        """What unpacking one action means for the file systems."""
        old = was.installed_kib * 1024 if was is not None and was.present else 0
        new = 0 if action.kind is ActionKind.REMOVE else new_kib * 1024
        boot = 0
        if action.name.startswith("linux-image-") and action.kind is ActionKind.INSTALL:
            boot = self._initrd_bytes()
        return Unpacking(action.name, old, new, self._share(action, mounts), boot)

    def _share(self, action: Action, mounts: Mapping[str, str]) -> Mapping[str, float]:
        """Part of its files on each file system; where there is one alone, nobody has to look for them."""
        if len(alone := set(mounts.values())) == 1:
            return dict.fromkeys(alone, 1.0)
        sizes: dict[str, int] = {}
        root = str(self.runner.path("/")).rstrip("/")
        for path in self._files(action.name, action.architecture):
            try:
                status = os.lstat(f"{root}{path}")
            except OSError:
                continue
            if not stat.S_ISDIR(status.st_mode):
                mount = mount_of(path, mounts)
                sizes[mount] = sizes.get(mount, 0) + status.st_size
        total = sum(sizes.values())
        return {m: s / total for m, s in sizes.items()} if total else {mount_of("/usr/lib", mounts): 1.0}

    def _files(self, name: str, architecture: str) -> list[str]:
        for stem in (f"{name}:{architecture}", name):
            listing = self.runner.path(f"/var/lib/dpkg/info/{stem}.list")
            try:
                return listing.read_text(errors="replace").splitlines()[:FILES_LOOKED_AT_MAX]
            except OSError:
                continue
        return []

    def _initrd_bytes(self) -> int:
        boot = self.runner.path("/boot")
        try:
            return max((f.stat().st_size for f in boot.glob("initrd.img-*")), default=NEW_INITRD_BYTES)
        except OSError:
            return NEW_INITRD_BYTES

    def to_download(self, files: Mapping[str, int]) -> int:
        """Bytes of those archives (file name in the cache -> size) that are not there in full yet."""
        return sum(size for name, size in files.items() if not self.cached(name, size))

    def cached(self, name: str, size: int) -> bool:
        try:
            return self.runner.path(f"{ARCHIVES}/{name}").stat().st_size == size
        except OSError:
            return False


def archive_name(name: str, version: str, architecture: str) -> str:
    """The file name that apt gives an archive in its cache: `:` and `%` in versions are written as `%3a`, `%25`."""
    quoted = re.sub(r"[:%_]", lambda m: f"%{ord(m.group()):02x}", version)
    return f"{name}_{quoted}_{architecture}.deb"


def mount_of(path: str, mounts: Mapping[str, str]) -> str:
    """The file system a path is on, by the longest known place above it."""
    best = max((p for p in mounts if path == p or path.startswith(p.rstrip("/") + "/")), key=len, default="/")
    return mounts.get(best, "/")
