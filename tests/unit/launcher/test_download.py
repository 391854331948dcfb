"""Pieces of a download: what counts of them, whatever a power cut has left."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support_trust import bundle

from brakeline.launcher import download, install, source
from brakeline.launcher.disk import RealDisk
from brakeline.launcher.settings import Settings
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


def test_of_one_product_only_what_is_fetched_now_keeps_its_pieces() -> None:
    """Else each release that was overtaken on a slow line leaves its pieces for as long as its document names it."""
    old, new, content = (
        replace(WANTED, sha256=sha, product=product)
        for sha, product in (("aa" * 32, "agent"), ("bb" * 32, "agent"), ("cc" * 32, "content"))
    )
    assert download.worth_keeping([old, new, content], [new]) == {new.sha256, content.sha256}
    assert download.worth_keeping([old, new, content], []) == {old.sha256, new.sha256, content.sha256}


class SmallDisk(RealDisk):
    """A disk of so many bytes, as far as it is asked."""

    def __init__(self, root: Path, size: int) -> None:
        super().__init__(root)
        self.size = size

    def free_bytes(self) -> int:
        return self.size - sum(p.stat().st_size for p in self.root.rglob("*") if p.is_file())


def test_what_was_begun_and_cut_off_makes_room(tmp_path: Path) -> None:
    """Else the half of a release that a cut has left keeps every later one away, and nobody else would clear it up."""
    disk = SmallDisk(tmp_path, 300)
    for folder in ("versions", "versions/1.9.0-aaaaaaaaaaaa.tmp", "versions/1.0.0-bbbbbbbbbbbb"):
        disk.mkdir(folder)
    disk.create("versions/1.9.0-aaaaaaaaaaaa.tmp/agent.pyz", b"x" * 90)
    disk.create("versions/1.0.0-bbbbbbbbbbbb/agent.pyz", b"x" * 40)
    install.room(disk, WANTED)
    assert disk.list("versions") == ["1.0.0-bbbbbbbbbbbb"], "what is whole stays"


def test_a_full_disk_is_said_before_a_byte_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(Distrust) as e:
        download.bundle(Settings(server_url="https://nobody.invalid"), SmallDisk(tmp_path, 249), WANTED, 0.0)
    assert e.value.reason == "no_space"


class HeldDisk(RealDisk):
    """A disk on which somebody holds the folder of releases, as a virus scanner of Windows does."""

    held = True

    def create(self, path: str, data: bytes, *, mode: int = 0o644) -> None:
        if self.held and path.startswith("versions/"):
            raise PermissionError(13, "held open by another program", path)
        super().create(path, data, mode=mode)


def test_what_took_many_looks_is_thrown_away_for_wrong_bytes_alone(tmp_path: Path) -> None:
    """A disk that is held or full for a moment must not cost an endpoint behind a slow line all of it again."""
    data = bundle("2.0.0", {"agent.pyz": b"print()"}, 2)
    wanted = replace(WANTED, sha256=hashlib.sha256(data).hexdigest(), length=len(data))
    disk = HeldDisk(tmp_path)
    for folder in (download.FOLDER, f"{download.FOLDER}/{wanted.sha256}"):
        disk.mkdir(folder)
    disk.create(f"{download.FOLDER}/{wanted.sha256}/{0:010}", data)
    with pytest.raises(PermissionError):
        source._install(Settings(), disk, wanted, 0.0)
    assert download.kept(disk, wanted) == data
    disk.create(f"{download.FOLDER}/{wanted.sha256}/{0:010}", bytes(len(data)))
    with pytest.raises(Distrust) as e:
        source._install(Settings(), disk, wanted, 0.0)
    assert (e.value.reason, download.kept(disk, wanted)) == ("hash", b"")
