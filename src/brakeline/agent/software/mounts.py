"""Which file systems are this machine's own: by the kernel's list of mounts. Pure over its text.

A network file system belongs to whoever serves it, is slow, and may hang a process for good: it is never entered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LOCAL: Final = frozenset((
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs", "overlay", "vfat", "exfat",
    "ntfs", "ntfs3", "apfs", "hfsplus", "squashfs", "erofs", "iso9660", "tmpfs", "nilfs2", "9p", "virtiofs",
))  # fmt: skip


def kinds(mountinfo: str) -> dict[str, str]:
    """Mount point -> type of file system, from /proc/self/mountinfo; a later mount hides an earlier one."""
    found: dict[str, str] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) > 4 and kind:
            found[_unescaped(fields[4])] = kind[0]
    return found


def kind_at(path: str, mounted: Mapping[str, str]) -> str:
    """The type of the file system that `path` lies on, "" = not known."""
    while True:
        if path in mounted:
            return mounted[path]
        if path in ("", "/"):
            return ""
        path = path.rpartition("/")[0] or "/"


def refusal(path: str, mounted: Mapping[str, str]) -> str:
    """Why `path` is not looked at, "" = it may be. What nobody knows is refused: it may hang."""
    kind = kind_at(path, mounted)
    if kind in LOCAL:
        return ""
    return f"its file system is no local one ({kind})" if kind else "what file system it lies on is not known"


def _unescaped(text: str) -> str:
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, sign)
    return text
