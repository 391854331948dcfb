"""`exposure assess` with files as their makers publish them: real databases whole, broken ones, a bundle."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from brakeline.advisories.osv import bundle
from brakeline.advisories.osv.model import Span
from brakeline.cli.assess import main

DATA = Path(__file__).parents[2] / "data/osv"
DOCUMENT = {
    "id": "PYSEC-1", "modified": "2026-11-01T00:00:00Z", "aliases": ["CVE-2026-1"],
    "affected": [{"package": {"ecosystem": "PyPI", "name": "Jinja2"},
                  "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.3"}]}]}],
}  # fmt: skip
TRACKER = {"curl": {"CVE-2026-5": {"releases": {"bookworm": {"status": "resolved", "fixed_version": "8.0-1"}}}}}
SECDB = {
    "distroversion": "v3.20", "reponame": "main",
    "packages": [{"pkg": {"name": "busybox", "secfixes": {"1.36.1-r29": ["CVE-2026-6"]}}}],
}  # fmt: skip


def zipped(*documents: object) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, document in enumerate(documents):
            archive.writestr(f"{number}.json", json.dumps(document))
    return out.getvalue()


def assessed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, advisories: bytes | Path, release: str, *items: dict[str, str]
) -> tuple[int, dict[str, list[dict[str, str]]], str]:
    (tmp_path / "i").write_text("\n".join(map(json.dumps, items)))
    path = advisories if isinstance(advisories, Path) else tmp_path / "a"
    if isinstance(advisories, bytes):
        path.write_bytes(advisories)
    code = main(["--inventory", str(tmp_path / "i"), "--advisories", str(path), "--release", release, "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


PYPI = {"package": "jinja2", "version": "3.1.2", "ecosystem": "pypi"}
CURL = {"package": "curl", "version": "7.9-1"}


@pytest.mark.parametrize(
    ("data", "release", "item", "cve"),
    [
        (json.dumps(DOCUMENT).encode(), "debian:12", PYPI, "CVE-2026-1"),
        (json.dumps([DOCUMENT]).encode(), "arch", PYPI, "CVE-2026-1"),
        (zipped(DOCUMENT), "almalinux:9", PYPI, "CVE-2026-1"),
        (bundle.pack("osv-pypi", "2026-11-01T00:00:00Z",
                     [Span("pypi", "jinja2", "PYSEC-1", fixed="3.1.3", aliases=("CVE-2026-1",))]),
         "debian:12", PYPI, "CVE-2026-1"),
        (json.dumps(TRACKER).encode(), "debian:12", CURL, "CVE-2026-5"),
        (json.dumps(SECDB).encode(), "alpine:3.20.3", {"package": "busybox", "version": "1.36.1-r28"}, "CVE-2026-6"),
    ],
    ids=["document", "list", "zip", "bundle", "tracker", "secdb"],
)  # fmt: skip
def test_files_as_they_are_published(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data: bytes, release: str, item: dict[str, str], cve: str
) -> None:
    code, answer, _ = assessed(capsys, tmp_path, data, release, item)
    assert (code, [f["cve"] for f in answer["findings"]]) == (0, [cve])


@pytest.mark.long
def test_almalinux_whole_epochs_streams_and_advisories_of_bugs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    items = (
        {"package": "bind", "version": "32:9.16.1-1.el9"},  # without its epoch it would be older than every fix
        {"package": "oci-systemd-hook", "version": "1:0.1.15-1.git2d0b8a3.module_el8.3.0+2044+12421f43"},
    )
    code, answer, _ = assessed(capsys, tmp_path, DATA / "osv-almalinux.jsonl.zst", "almalinux:9.4", *items)
    assert code == 0
    assert {f["package"] for f in answer["findings"]} == {"bind"}
    assert all(f["cve"].startswith("CVE-") and f["advisory"].startswith("ALSA-") for f in answer["findings"])
    fixed = max((f["fixed"] for f in answer["findings"]), key=len)
    assert fixed.startswith("32:")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"id": "X", "affected": 7}', "modified"),
        (b'{"id": "X", "modified": "yesterday", "affected": []}', "document 1"),
        (b'{"brakeline_bundle": 1, "feed": "passwd"}', "no feed"),
        (b'{"brakeline_bundle": 1}', "no whole bundle"),
        (b"PK\x03\x04 nothing", "damaged"),
        (b'{"releases": []}', "document 1"),
        (b'{"advisory": 1}', "document 1"),
        (b'[7, {"id": 1}]', "document 1"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_nothing_is_assessed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, data: bytes, says: str
) -> None:
    code, answer, err = assessed(capsys, tmp_path, data, "debian:12", PYPI)
    assert (code, "findings" in answer) == (2, False)
    assert says in err
