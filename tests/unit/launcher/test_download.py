"""Pieces of a download: what counts of them, whatever a power cut has left."""

from __future__ import annotations

from pathlib import Path

import pytest

from brakeline.launcher import download
from brakeline.launcher.disk import RealDisk
from brakeline.trust.errors import Distrust
from brakeline.trust.model import Offered

SHA = "ab" * 32
WANTED = Offered("agent", "2.0.0", 2, "", SHA, 100, "", 0, 0)


@pytest.fixture
def disk(tmp_path: Path) -> RealDisk:
    return RealDisk(tmp_path)


def lay(disk: RealDisk, **pieces: bytes) -> None:
    for folder in (download.FOLDER, f"{download.FOLDER}/{SHA}"):
        disk.mkdir(folder)
    for at, data in pieces.items():
        disk.create(f"{download.FOLDER}/{SHA}/{int(at[1:]):010}", data)


def test_pieces_count_as_far_as_they_follow_each_other(disk: RealDisk) -> None:
    assert download.kept(disk, WANTED) == b""
    lay(disk, _0=b"a" * 40, _40=b"b" * 30, _80=b"c" * 20)
    assert download.kept(disk, WANTED) == b"a" * 40 + b"b" * 30, "between 70 and 80 there is a gap"


def test_after_a_torn_piece_it_goes_on_from_there(disk: RealDisk) -> None:
    lay(disk, _0=b"a" * 33, _40=b"b" * 30)
    assert len(download.kept(disk, WANTED)) == 33
    lay(disk, _33=b"c" * 67)
    assert download.kept(disk, WANTED) == b"a" * 33 + b"c" * 67, "what stood behind the gap is not in the way"


@pytest.mark.parametrize("piece", [b"", b"x" * 101])
def test_an_empty_piece_or_one_too_long_is_none(disk: RealDisk, piece: bytes) -> None:
    lay(disk, _0=piece)
    assert download.kept(disk, WANTED) == b""


def test_what_no_document_names_any_more_is_removed(disk: RealDisk) -> None:
    lay(disk, _0=b"a")
    download.forget(disk, {SHA})
    assert download.kept(disk, WANTED) == b"a"
    download.forget(disk)
    assert disk.list(download.FOLDER) == []


def test_a_full_disk_is_said_before_a_byte_is_fetched(disk: RealDisk) -> None:
    huge = Offered("agent", "2.0.0", 2, "", SHA, 1 << 60, "", 0, 0)
    with pytest.raises(Distrust) as e:
        download.room(disk, huge, 2.5)
    assert e.value.reason == "no_space"
