"""What is sent to be adopted: a tar of the vendor's files, of which nobody knows yet who made it."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from brakeline.catalog.tools import PIECE_BYTES, unpack
from brakeline.core.errors import Invalid

ROOM = 64 << 20


def tar(*files: tuple[str, bytes], pax: dict[str, str] | None = None) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size, member.pax_headers = len(data), pax or {}
            made.addfile(member, io.BytesIO(data))
    return io.BytesIO(out.getvalue())


def test_files_come_out_as_they_were(tmp_path: Path) -> None:
    large = bytes(range(256)) * (3 * PIECE_BYTES // 256) + b"end"
    files = unpack(tar(("listing", b"words"), ("artifact", large), pax={"comment": "x" * 5000}), tmp_path, ROOM)
    assert files.read("listing", 100) == b"words"
    assert (tmp_path / "artifact").read_bytes() == large


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (tar(("listing", b""), pax={"comment": "x" * (PIECE_BYTES + 1)}), "a header of the tar has more than 1 MiB"),
        (tar(("../listing", b"x")), "is none of listing, index"),
        (tar(("listing", b"x"), ("listing", b"y")), "is there twice"),
        (tar(("artifact", b"x" * 2048)), "too large"),
        (io.BytesIO(b"\0" * 100 + b"no tar"), "no tar"),
    ],
    ids=["large header", "outside", "twice", "large", "none"],
)
def test_what_means_harm_is_refused_in_words(tmp_path: Path, source: io.BytesIO, told: str) -> None:
    with pytest.raises(Invalid, match=told):
        unpack(source, tmp_path, 1024)
    assert not (tmp_path.parent / "listing").exists()


def test_headers_upon_headers_are_refused(tmp_path: Path) -> None:
    """Each is small, and each says that another follows."""
    header = tarfile.TarInfo("x")
    header.type = tarfile.XHDTYPE
    many = header.tobuf(tarfile.USTAR_FORMAT) * 5000
    with pytest.raises(Invalid, match=r"headers upon headers|damaged"):
        unpack(io.BytesIO(many), tmp_path, ROOM)
