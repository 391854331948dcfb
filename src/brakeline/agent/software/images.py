"""Container images present on the disk: OCI image layouts, and the store that podman, buildah and CRI-O keep.

Reads files below the directory that holds the list of images, follows no link out of it, trusts no digest to be a path.
What docker keeps only root may read, and the agent is not root: `look` says so.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from brakeline.agent.software import layer, records
from brakeline.agent.software.model import Found, Unreadable, shown

LIST_BYTES_MAX: Final = 4 * 1024 * 1024
IMAGES_MAX: Final = 200  # of one store
LAYERS_MAX: Final = 130  # overlay file systems can have no more
NESTED_MAX: Final = 4  # indexes of indexes
_DIGEST: Final = re.compile(r"(sha256|sha512):([0-9a-f]{64,128})")
_ID: Final = re.compile(r"[0-9a-zA-Z]{1,128}")
Answer = tuple[tuple[Found, ...], tuple[str, ...]]


def layout(file: IO[bytes], place: str) -> Answer:
    """The images of an OCI layout; `file` is its index.json, `place` its directory as told. Raises `Unreadable`."""
    top = Path(os.fsdecode(file.name)).parent
    if not _is_plain(top / "oci-layout"):
        return (), ()  # an index of something else
    items: list[Found] = []
    gaps: list[str] = []
    for number, (name, manifest) in enumerate(_manifests(top, _json(file), 0)):
        if number >= IMAGES_MAX:
            gaps.append(f"{shown(place)}: only {IMAGES_MAX} of its images were looked at")
            break
        where = shown(f"image {name} in {place}")
        try:
            files = _stacked(_layer(top, row) for row in _rows(manifest.get("layers"))[:LAYERS_MAX])
            more, untold = records.read(files, where)
        except Unreadable as e:
            more, untold = (), (f"{where}: {e}",)
        items += more
        gaps += untold
    return tuple(items), tuple(gaps)


def _manifests(top: Path, index: dict[str, Any], depth: int, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, manifest) of each image; an index may point to others (one for each processor)."""
    for row in _rows(index.get("manifests")):
        said = row.get("annotations")
        called = said.get("org.opencontainers.image.ref.name", "") if isinstance(said, dict) else ""
        known = str(called) or name or str(row.get("digest", ""))[:19]
        with _blob(top, row) as blob:
            found = _json(blob)
        if "manifests" in found and depth < NESTED_MAX:
            yield from _manifests(top, found, depth + 1, known)
        elif "layers" in found:
            yield known, found


def _layer(top: Path, row: dict[str, Any]) -> layer.Layer:
    with _blob(top, row) as blob:
        return layer.read(blob, records.is_wanted)


def _blob(top: Path, row: dict[str, Any]) -> IO[bytes]:
    """The blob that a descriptor names. Raises `Unreadable`."""
    digest = _DIGEST.fullmatch(str(row.get("digest", "")))
    if digest is None or (top / "blobs").is_symlink() or (top / "blobs" / digest[1]).is_symlink():
        raise Unreadable("it names a blob that is none")
    return _opened(top / "blobs" / digest[1] / digest[2])


def _stacked(layers: Iterator[layer.Layer]) -> dict[str, bytes]:
    """The files that one sees: each layer hides and takes away what lies below it."""
    files: dict[str, bytes] = {}
    for one in layers:
        for path in list(files):
            if path in one.gone or any(path.startswith(g) for g in one.gone if g.endswith("/")):
                del files[path]
        files |= one.files
    return files


def store(file: IO[bytes], place: str) -> Answer:
    """The images of a store of podman's kind; `file` is its images.json. Raises `Unreadable`."""
    listed = Path(os.fsdecode(file.name))
    kind = listed.parent.name.removesuffix("-images")
    top = listed.parent.parent
    with _opened(top / f"{kind}-layers" / "layers.json") as layers_file:
        parents = {str(row.get("id", "")): str(row.get("parent", "")) for row in _rows(_json(layers_file))}
    items: list[Found] = []
    gaps: list[str] = []
    for row in _rows(_json(file))[:IMAGES_MAX]:
        names = row.get("names")
        name = str(names[0]) if isinstance(names, list) and names else str(row.get("id", ""))[:12]
        where = shown(f"image {name} in {place.rpartition('/')[0]}")
        try:
            files = _unpacked(top / kind, _chain(str(row.get("layer", "")), parents))
            more, untold = records.read(files, where)
        except Unreadable as e:
            more, untold = (), (f"{where}: {e}",)
        items += more
        gaps += untold
    return tuple(items), tuple(gaps)


def _chain(top: str, parents: dict[str, str]) -> list[str]:
    """Layers from the uppermost down; a loop ends at the bound."""
    found: list[str] = []
    while top and len(found) < LAYERS_MAX:
        if not _ID.fullmatch(top):
            raise Unreadable("it names a layer that is none")
        found.append(top)
        top = parents.get(top, "")
    return found


def _unpacked(layers: Path, chain: list[str]) -> dict[str, bytes]:
    """The wanted files of unpacked layers: the uppermost that has a path, or takes it away, decides."""
    files: dict[str, bytes] = {}
    for path in (*records.RELEASES, records.DPKG, records.APK, *records.RPM):
        for one in chain:
            found = _of_layer(layers / one / "diff", path)
            if found is not None:
                if found or path in records.RELEASES:
                    files[path] = found
                break
    return files


def _of_layer(diff: Path, path: str) -> bytes | None:
    """None: this layer says nothing of it. b"": it is gone."""
    here = diff
    for part in path.split("/"):
        here /= part
        try:
            status = here.lstat()
        except OSError:
            return None
        if stat.S_ISCHR(status.st_mode):
            return b""  # how overlay says that it is gone
        if stat.S_ISLNK(status.st_mode):
            return None  # /etc/os-release is a link nearly everywhere; the other path has it
    if path in records.RPM:
        return b"rpm"
    with _opened(here) as file:
        data = file.read(layer.FILE_BYTES_MAX + 1)
    if len(data) > layer.FILE_BYTES_MAX:
        raise Unreadable(f"{path} in it has more than {layer.FILE_BYTES_MAX} bytes")
    return data


def _is_plain(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _opened(path: Path) -> IO[bytes]:
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    except OSError as e:
        raise Unreadable(f"{shown(path.name)} cannot be opened: {e.strerror}") from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise Unreadable(f"{shown(path.name)} is no file")
    return file


def _json(file: IO[bytes]) -> Any:
    data = file.read(LIST_BYTES_MAX + 1) or b""
    try:
        if len(data) > LIST_BYTES_MAX:
            raise Unreadable(f"a list in it has more than {LIST_BYTES_MAX} bytes")
        found = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise e if isinstance(e, Unreadable) else Unreadable("a list in it is no JSON") from None
    return found if isinstance(found, (dict, list)) else {}


def _rows(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
