"""`brakeline content changelogs` on files of a disk: packages in every packing, what means harm, a real machine."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from tests.support import require

from brakeline.advisories.changelogs import CHANGELOG_BYTES_MAX
from brakeline.advisories.seed import SEED_DIR
from brakeline.cli.__main__ import main
from brakeline.cli.changelog_files import derive
from brakeline.core.debversion import deb_key

TEXT = (
    b"curl (7.88.1-10+deb12u15) bookworm; urgency=medium\n\n  * CVE-2025-10148\n\n"
    b" -- A <a@b>  Fri, 08 May 2026 07:16:21 -0700\n"
)
PLACE = "./usr/share/doc/curl/changelog.Debian.gz"


def tar(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def deb(name: str, data: bytes) -> bytes:
    """An archive of ar(5) with one member before the tree."""

    def member(title: str, body: bytes) -> bytes:
        return (
            f"{title:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode() + body + b"\n" * (len(body) % 2)
        )

    return b"!<arch>\n" + member("debian-binary", b"2.0\n") + member("odd", b"x") + member(name, data)


TREE = tar(("./usr/share/doc/curl/changelog.gz", gzip.compress(b"upstream")), (PLACE, gzip.compress(TEXT)))


@pytest.mark.parametrize(
    ("ending", "pack"),
    [(".xz", lzma.compress), (".gz", gzip.compress), (".zst", zstandard.ZstdCompressor().compress), ("", bytes)],
)
def test_packages_in_every_packing(tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "curl_1_amd64.deb").write_bytes(deb(f"data.tar{ending}", pack(TREE)))
    rows, skipped = derive([tmp_path])
    assert ([(r.source, r.cve, r.fixed, r.date) for r in rows], skipped) == (
        [("curl", "CVE-2025-10148", "7.88.1-10+deb12u15", "2026-05-08")], [],
    )  # fmt: skip


def test_a_package_of_dpkg_deb_a_source_archive_and_plain_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require(shutil.which("dpkg-deb") is not None, "dpkg-deb")
    doc = tmp_path / "tree" / "usr/share/doc/curl"
    doc.mkdir(parents=True)
    (doc / "changelog.Debian.gz").write_bytes(gzip.compress(TEXT))
    (doc / "changelog.gz").write_bytes(b"upstream's, and not read beside Debian's")
    (tmp_path / "tree/DEBIAN").mkdir()
    (tmp_path / "tree/DEBIAN/control").write_text(
        "Package: curl\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n"
    )
    subprocess.run(["dpkg-deb", "--build", tmp_path / "tree", tmp_path / "curl.deb"], check=True, capture_output=True)
    source = tar(("debian/control", b""), ("debian/changelog", TEXT.replace(b"curl (", b"wget (")))
    (tmp_path / "wget_1.debian.tar.xz").write_bytes(lzma.compress(source))
    out = tmp_path / "out.jsonl"
    assert main(["content", "changelogs", str(tmp_path), "--out", str(out)]) == 0
    assert "2 fixes of 2 sources" in capsys.readouterr().out
    assert [json.loads(line)["source"] for line in out.read_text().splitlines()] == ["curl", "wget"]
    assert main(["content", "changelogs", str(tmp_path), "--out", str(tmp_path)]) != 0


def test_what_means_harm_is_skipped_with_its_reason_and_the_rest_is_read(tmp_path: Path) -> None:
    bomb = lzma.compress(tar((PLACE, gzip.compress(b"\0" * (CHANGELOG_BYTES_MAX + 1)))))
    for name, data in {
        "good.deb": deb("data.tar.gz", gzip.compress(TREE)), "bomb.deb": deb("data.tar.xz", bomb),
        "cut.deb": deb("data.tar.xz", lzma.compress(TREE)[:-40]), "none.deb": b"hello",
        "odd.deb": deb("data.tar.br", b""),
        "endless.deb": b"!<arch>\n" + f"{'data.tar.xz':<48}{'9' * 10}`\n".encode(), "empty.deb": b"!<arch>\n",
        "changelog.Debian.gz": b"\x1f\x8bdamaged", "huge.debian.tar.xz": b"\xfd7zXZ\0",
    }.items():  # fmt: skip
        (tmp_path / name).write_bytes(data)
    (tmp_path / "loop").symlink_to(tmp_path)
    rows, skipped = derive([tmp_path, tmp_path / "gone.deb"])
    assert [r.source for r in rows] == ["curl"]
    assert len(skipped) == 9
    assert all(why for _, why in skipped)


@pytest.mark.long
def test_this_machine_s_own_changelogs_say_what_the_seed_says() -> None:
    """The seed was drawn from sources of Debian 12 by the same rule; packages carry changelogs that are cut after some
    years, so a fix may look younger here, and never older."""
    require('VERSION_ID="12"' in Path("/etc/os-release").read_text(), "Debian 12 with its documentation")
    rows, _ = derive([Path("/usr/share/doc")])
    seed = {}
    with (SEED_DIR / "debian-bookworm-changelog-cves.jsonl.zst").open("rb") as stream:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(stream), encoding="utf-8"):
            said = json.loads(line)
            seed[said["source"], said["cve"]] = said["fixed"]
    both = [(seed[r.source, r.cve], r.fixed) for r in rows if (r.source, r.cve) in seed]
    require(len(both) > 1000, "documentation of packages (changelogs) on this machine")
    assert not [pair for pair in both if deb_key(pair[1]) < deb_key(pair[0])]
    assert sum(a == b for a, b in both) >= 0.99 * len(both)
