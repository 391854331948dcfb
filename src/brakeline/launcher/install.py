"""From a downloaded bundle to an immutable tree in versions/, in an order that survives a power cut at every step.

Hash, unpack beside, sync every file, manifest last, rename, sync the directory. A tree counts only with a manifest
that holds, and it is hashed again before every start: so data that a power cut has lost are noticed, not executed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Final

from brakeline.launcher.disk import Disk
from brakeline.launcher.model import CONTENT, Record
from brakeline.trust import artifacts
from brakeline.trust.assess import AGENT
from brakeline.trust.errors import Distrust
from brakeline.trust.model import Offered

VERSIONS: Final = "versions"
UNFINISHED: Final = ".tmp"  # how the name of a tree ends that is being written, or was when something cut it off
FREE_FACTOR: Final = 2.5  # of the bundle's size must be free; else the update waits
Tree = dict[str, bytes]


def install(disk: Disk, bundle: bytes, offered: Offered, platform: str) -> None:
    """Put the release into versions/. Raises `Distrust` for a bad bundle and `OSError` for a bad disk."""
    if len(bundle) != offered.length or hashlib.sha256(bundle).hexdigest() != offered.sha256:
        raise Distrust("hash", f"{offered.release_id}: the bytes that arrived are not the signed ones")
    files, said = unpack(bundle)
    artifacts.agree(said, offered, platform)
    room(disk, offered)
    write_tree(disk, offered.release_id, files, said)


def room(disk: Disk, offered: Offered, factor: float = FREE_FACTOR) -> None:
    """Raises `Distrust` unless so many times the release's size is free, without what was begun and cut off."""
    wanted = round(factor * offered.length)
    if disk.free_bytes() < wanted:
        begun = [name for name in disk.list(VERSIONS) if name.endswith(UNFINISHED)]
        for name in begun:
            disk.remove_tree(f"{VERSIONS}/{name}")
        if begun:
            disk.sync_dir(VERSIONS)
    if disk.free_bytes() < wanted:
        raise Distrust("no_space", f"{offered.release_id} needs {wanted} bytes of free space")


def adopt(disk: Disk, bundle: bytes, record: Record, platform: str) -> Record:
    """The record after a first release was put in place by whoever installs this machine, who is trusted for it.

    What is confirmed here and whole stays. Raises `OSError`, and `Distrust` for a bad bundle or a forbidden one.
    """
    if any(r and not verify(disk, r) for r in (record.current, record.last_known_good)):
        return record
    said = unpack(bundle)[1]
    if said.product != "agent":
        raise Distrust("wrong_product", f"a {said.product} cannot be what runs here")
    sha256 = hashlib.sha256(bundle).hexdigest()
    offered = Offered(said.product, said.version, said.sequence, "", sha256, len(bundle), "", 0, 0)
    if offered.release_id in (*record.recalled, *record.quarantined):
        raise Distrust("recalled", f"{offered.release_id} was recalled or has failed here; get a newer kit")
    install(disk, bundle, offered, platform)
    return replace(record, current=offered.release_id)


def unpack(bundle: bytes) -> tuple[Tree, artifacts.About]:
    """All files of a bundle in memory. Raises `Distrust` for anything but plain files with plain names."""
    import io
    import tarfile  # here, because most looks and every start unpack nothing

    files: Tree = {}
    size = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(bundle), mode="r:") as tar:
            for member in tar:
                size += member.size
                if not member.isreg() or size > artifacts.UNPACKED_BYTES_MAX or len(files) >= artifacts.FILES_MAX:
                    raise Distrust("unsafe_bundle", f"{member.name[:60]!r} is no plain file, or there is too much")
                source = tar.extractfile(member)
                assert source is not None
                files[artifacts.usable_name(member.name)] = source.read()
    except (tarfile.TarError, EOFError, ValueError) as e:
        raise Distrust("malformed", f"the bundle cannot be unpacked: {e}") from None
    if artifacts.ABOUT not in files:
        raise Distrust("malformed", f"the bundle has no {artifacts.ABOUT}")
    return files, artifacts.about(files[artifacts.ABOUT].decode(errors="replace"))


def write_tree(disk: Disk, release_id: str, files: Tree, said: artifacts.About) -> None:
    """Beside, synced, manifest last; then renamed. What an earlier try has left is gone, durably, before."""
    final, beside = f"{VERSIONS}/{release_id}", f"{VERSIONS}/{release_id}{UNFINISHED}"
    disk.mkdir(VERSIONS)
    for leftover in (beside, final):
        if disk.exists(leftover):
            disk.remove_tree(leftover)
            disk.sync_dir(VERSIONS)  # else a power cut could replay the removal over the new tree
    disk.mkdir(beside)
    for folder in sorted({name[:i] for name in files for i, c in enumerate(name) if c == "/"}):
        disk.mkdir(f"{beside}/{folder}")
    for name, data in files.items():
        program = said.product != CONTENT and name == said.entry[0].removeprefix("./")  # content has no programs
        disk.create(f"{beside}/{name}", data, mode=0o755 if program else 0o644)
        disk.sync(f"{beside}/{name}")
    hashes = {name: (hashlib.sha256(data).hexdigest(), len(data)) for name, data in files.items()}
    disk.create(f"{beside}/{artifacts.MANIFEST}", artifacts.manifest(hashes, said).encode())
    disk.sync(f"{beside}/{artifacts.MANIFEST}")
    for folder in sorted({name[:i] for name in files for i, c in enumerate(name) if c == "/"}, reverse=True):
        disk.sync_dir(f"{beside}/{folder}")
    disk.sync_dir(beside)
    disk.rename(beside, final)
    disk.sync_dir(VERSIONS)


def verify(disk: Disk, release_id: str) -> str:
    """Hash every file against the manifest: "" = all is there and as it was; else what is wrong."""
    try:
        files, _, _ = artifacts.parse_manifest(disk.read(f"{VERSIONS}/{release_id}/{artifacts.MANIFEST}").decode())
        for name, (digest, length) in files.items():
            data = disk.read(f"{VERSIONS}/{release_id}/{name}")
            if len(data) != length or hashlib.sha256(data).hexdigest() != digest:
                return f"{name} is not what the manifest says"
    except (OSError, ValueError, KeyError, IndexError, TypeError) as e:
        return f"the manifest or a file cannot be read: {e}"
    return ""


def entry(disk: Disk, release_id: str) -> tuple[tuple[str, ...], int]:
    """(how it is started, sequence). Raises `OSError` or `ValueError`."""
    return artifacts.parse_manifest(disk.read(f"{VERSIONS}/{release_id}/{artifacts.MANIFEST}").decode())[1:]


def installed(disk: Disk) -> frozenset[str]:
    """Releases that have a manifest. Whether it holds is asked before each start."""
    return frozenset(
        name
        for name in disk.list(VERSIONS)
        if artifacts.is_release_id(name) and disk.exists(f"{VERSIONS}/{name}/{artifacts.MANIFEST}")
    )


def product_of(disk: Disk, release_id: str) -> str:
    """Which product a tree is of; "" = nobody can tell, so it is no whole tree."""
    try:
        return str(json.loads(disk.read(f"{VERSIONS}/{release_id}/{artifacts.MANIFEST}"))["product"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def rebuild(disk: Disk) -> Record:
    """A record from what is on the disk, when both slots are lost: the newest two agents whose manifest holds."""
    whole = [r for r in installed(disk) if product_of(disk, r) == AGENT and not verify(disk, r)]
    by_age = sorted(whole, key=lambda r: (entry(disk, r)[1], r), reverse=True)
    newest, before = (*by_age, "", "")[:2]
    # The newest may have been on probation, and nobody knows how it did: the one before it is the safer one to run.
    return Record(current=before or newest, last_known_good=newest if before else "")


def collect(disk: Disk, keep: frozenset[str], product: str = AGENT) -> list[str]:
    """Remove every other tree of a product and every unfinished one; their names."""
    gone = [n for n in disk.list(VERSIONS) if n not in keep and product_of(disk, n) in (product, "")]
    for name in gone:
        disk.remove_tree(f"{VERSIONS}/{name}")
    if gone:
        disk.sync_dir(VERSIONS)
    return gone
