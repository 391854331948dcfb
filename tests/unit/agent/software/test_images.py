"""Images on the disk: layers hide and take away, packages are told as their own system's, lies are bounded."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from brakeline.agent.software import kinds, layer, readers, records
from brakeline.agent.software.model import Told, Unreadable

DEBIAN = b'ID=debian\nVERSION_ID="12"\n'
STATUS = (
    b"Package: libssl3\nStatus: install ok installed\nSource: openssl (3.0.15-1~deb12u1)\n"
    b"Version: 3.0.15-1~deb12u1+b1\n"
    b"Description: x\n more\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"
)
APK = (
    b"P:libcrypto3\nV:3.1.4-r5\no:openssl\nA:x86_64\nF:lib\nR:libcrypto.so.3\n\nP:busybox\nV:1.36.1-r15\no:busybox\n\n"
)
ALPINE = b'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.19.1\n'


def tar(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return made.getvalue()


class Layout:
    """An OCI image layout, made by hand as its specification says."""

    def __init__(self, top: Path) -> None:
        self.top, self.manifests = top, []
        (top / "blobs/sha256").mkdir(parents=True)
        (top / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data: bytes, kind: str = "x", **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (self.top / "blobs/sha256" / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data), **more}

    def image(self, name: str, *layers: bytes, index: bool = False) -> None:
        manifest = {"schemaVersion": 2, "layers": [self.blob(one) for one in layers]}
        named = {"annotations": {"org.opencontainers.image.ref.name": name}}
        row = self.blob(json.dumps(manifest).encode(), **({} if index else named))
        if index:
            row = self.blob(json.dumps({"manifests": [row]}).encode(), **named)
        self.manifests.append(row)
        (self.top / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.manifests}))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "images")


def read(path: Path, kind: str = kinds.IMAGE) -> Told:
    with open(path, "rb") as file:
        return readers.read(kind, file, "/srv/images/index.json")


def test_a_debian_and_an_alpine_image_are_told_as_what_they_are(layout: Layout) -> None:
    layout.image("web:1", gzip.compress(tar({"./etc/os-release": DEBIAN, "./var/lib/dpkg/status": STATUS})))
    layout.image("cache:2", tar({"etc/os-release": ALPINE, "lib/apk/db/installed": APK}), index=True)
    told = read(layout.top / "index.json")
    assert told.gaps == ()
    assert [(i.ecosystem, i.name, i.version, i.source, i.source_version, i.where) for i in told.items] == [
        ("debian:12", "libssl3", "3.0.15-1~deb12u1+b1", "openssl", "3.0.15-1~deb12u1", "image web:1 in /srv/images"),
        ("alpine:3.19.1", "libcrypto3", "3.1.4-r5", "openssl", "3.1.4-r5", "image cache:2 in /srv/images"),
        ("alpine:3.19.1", "busybox", "1.36.1-r15", "busybox", "1.36.1-r15", "image cache:2 in /srv/images"),
    ]


def test_a_later_layer_hides_and_takes_away(layout: Layout) -> None:
    base = tar({"etc/os-release": DEBIAN, "var/lib/dpkg/status": STATUS})
    newer = STATUS.replace(b"3.0.15", b"3.0.17")
    layout.image("patched", base, tar({"var/lib/dpkg/status": newer}))
    layout.image("stripped", base, tar({"var/lib/dpkg/.wh.status": b""}))
    layout.image("emptied", base, tar({"var/lib/.wh..wh..opq": b""}))
    told = read(layout.top / "index.json")
    assert [(i.version, i.where) for i in told.items] == [("3.0.17-1~deb12u1+b1", "image patched in /srv/images")]
    assert told.gaps == (
        "image stripped in /srv/images: it has no package database that is known here",
        "image emptied in /srv/images: it has no package database that is known here",
    )


def test_distroless_keeps_one_file_a_package_and_rpm_is_told_as_unread(layout: Layout) -> None:
    part = b"Package: tzdata\nVersion: 2024a-0+deb12u1\n"
    layout.image("distroless", tar({"usr/lib/os-release": DEBIAN, "var/lib/dpkg/status.d/tzdata": part}))
    layout.image("alma", tar({"etc/os-release": b"ID=almalinux\n", "var/lib/rpm/rpmdb.sqlite": b"x"}))
    told = read(layout.top / "index.json")
    assert [i.name for i in told.items] == ["tzdata"]
    assert told.gaps == ("image alma in /srv/images: its rpm database is not read, so its packages are not known",)


def test_an_index_of_something_else_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text('{"manifests": [{"digest": "sha256:00"}]}')
    assert read(tmp_path / "index.json") == Told()


@pytest.mark.parametrize(
    ("digest", "why"),
    [
        ("sha256:../../etc/passwd", "a blob that is none"),
        ("sha256:" + "0" * 64, "cannot be opened"),
        ("", "a blob that is none"),
    ],
)
def test_a_digest_is_never_a_path(layout: Layout, digest: str, why: str) -> None:
    (layout.top / "index.json").write_text(json.dumps({"manifests": [{"digest": digest}]}))
    with pytest.raises(Unreadable, match=why):
        read(layout.top / "index.json")


def test_a_blob_that_is_a_link_or_a_pipe_is_refused(layout: Layout, tmp_path: Path) -> None:
    layout.image("x", tar({"etc/os-release": DEBIAN}))
    blobs = layout.top / "blobs"
    blobs.rename(tmp_path / "elsewhere")
    blobs.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unreadable, match="a blob that is none"):
        read(layout.top / "index.json")


def test_bombs_and_lies_of_layers_are_bounded() -> None:
    large = bytearray(tar({"var/lib/dpkg/status": b"x"}))
    at = large.index(b"var/lib/dpkg/status")
    large[at + 124 : at + 136] = b"77777777777\0"  # 8 GiB
    for data, why in (
        (bytes(large), "GiB"),
        (b"\x28\xb5\x2f\xfd" + bytes(600), "zstd"),
        (b"\x1f\x8b" + bytes(30), "damaged"),
    ):
        with pytest.raises(Unreadable, match=why):
            layer.read(io.BytesIO(data), records.is_wanted)
    whole = tar({"var/lib/dpkg/status": STATUS})
    with pytest.raises(Unreadable, match="middle of a file"):
        layer.read(io.BytesIO(whole[:600]), records.is_wanted)


def test_long_names_of_both_formats_are_read() -> None:
    long = "a/" * 120 + "x"
    assert layer.read(io.BytesIO(tar({long: b"1"})), lambda path: path == long).files == {long: b"1"}


def test_the_store_of_podman_is_read_where_it_can_be(tmp_path: Path) -> None:
    top = tmp_path / "storage"
    for name in ("overlay-images", "overlay-layers"):
        (top / name).mkdir(parents=True)
    base, above = "a" * 64, "b" * 64
    for name, files in ((base, {"usr/lib/os-release": DEBIAN, "var/lib/dpkg/status": STATUS}), (above, {})):
        for path, data in files.items():
            (top / "overlay" / name / "diff" / path).parent.mkdir(parents=True, exist_ok=True)
            (top / "overlay" / name / "diff" / path).write_bytes(data)
    (top / "overlay-layers/layers.json").write_text(json.dumps([{"id": base}, {"id": above, "parent": base}]))
    images = [
        {"id": "c" * 64, "names": ["localhost/web:latest"], "layer": above},
        {"id": "d" * 64, "layer": "../../etc"},
    ]
    (top / "overlay-images/images.json").write_text(json.dumps(images))
    told = read(top / "overlay-images/images.json", kinds.STORE)
    assert [(i.name, i.where) for i in told.items] == [("libssl3", "image localhost/web:latest in /srv")]
    assert told.gaps == ("image dddddddddddd in /srv: it names a layer that is none",)
