"""What vendors say is new: read from real and hostile files, within bounds."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path

import pytest
import zstandard

from brakeline.catalog.discovery import BadListing, Found, read
from brakeline.catalog.discovery.packing import unpacked
from brakeline.catalog.discovery.winget import manifest, silent

DATA = Path(__file__).resolve().parents[2] / "data/catalog/scoop-extras.jsonl.zst"
SHA = "3f" * 32


def scoop() -> bytes:
    return zstandard.ZstdDecompressor().stream_reader(DATA.open("rb")).read()


def test_all_of_a_real_scoop_bucket_is_taken_or_named() -> None:
    found, missing = read("scoop", scoop())
    assert (len(found), len(missing)) == (2791, 517)
    assert sum("only SHA-256 is taken" in m.reason for m in missing) == 445
    assert sum("several files" in m.reason for m in missing) == 71
    assert len({f.name for f in found} | {m.name for m in missing}) == 2371


def test_one_product_of_a_bucket() -> None:
    found, missing = read("scoop", DATA.read_bytes(), "010editor")  # packed, as it lies there
    assert missing == ()
    assert [(f.architecture, f.version) for f in found] == [("x86", "16.0.4"), ("x64", "16.0.4")]
    assert found[1].url.endswith("010EditorWin64Portable16.0.4.zip")
    assert found[1].sha256 == "f4512b246c5629fd080d41b5c866ced86a1400480c10fda0f5240008b2cd2675"


WINGET = f"""
PackageIdentifier: Example.App
PackageVersion: 1.10
InstallerType: inno
Installers:
- Architecture: x64
  InstallerUrl: https://example.org/app-1.10.exe
  InstallerSha256: {SHA.upper()}
- Architecture: arm64
  InstallerType: exe
  InstallerUrl: https://example.org/app-arm.exe
ManifestType: installer
"""


def test_winget_versions_are_texts_and_a_missing_hash_is_named() -> None:
    found, missing = read("winget", WINGET.encode())
    assert found == (Found("Example.App", "1.10", "x64", "https://example.org/app-1.10.exe", SHA),)
    assert "its hash is missing" in missing[0].reason
    plain = manifest(WINGET.encode())
    assert [silent(plain, i) for i in plain["Installers"]] == ["/SP- /VERYSILENT /SUPPRESSMSGBOXES /NORESTART", ""]


@pytest.mark.parametrize(
    "text",
    ["a: &x [1]\nb: *x", "!!python/object/apply:os.system [id]", "- 1", "a: [", "PackageVersion: 1", "x" * 2_000_000],
)
def test_what_is_no_winget_manifest_is_refused(text: str) -> None:
    with pytest.raises(BadListing):
        read("winget", text.encode())


def test_a_feed_by_paths() -> None:
    data = json.dumps({"releases": [{"v": "v2.1", "files": [{"u": "https://e.org/x", "h": SHA, "n": 7}]}]}).encode()
    paths = {"version": "releases.0.v", "url": "releases.0.files.0.u", "sha256": "releases.0.files.0.h",
             "bytes": "releases.0.files.0.n"}  # fmt: skip
    assert read("feed", data, "tool", paths) == ((Found("tool", "2.1", "any", "https://e.org/x", SHA, 7),), ())
    moved = read("feed", b'{"releases": []}', "tool", paths)[1]
    assert moved[0].reason == "releases.0.v leads to no text: version is not there any more"
    for bad in ({}, paths | {"run": "x"}, paths | {"version": "a..b"}, paths | {"version": ".".join("x" * 20)}):
        with pytest.raises(BadListing):
            read("feed", data, "tool", bad)
    with pytest.raises(BadListing, match="--name"):
        read("feed", data, "", paths)


PACKAGES = f"""Package: code
Version: 1.9
Architecture: amd64
Filename: pool/code_1.9.deb
Size: 100
SHA256: {SHA}
Description: an editor
 with more

Package: code
Version: 1.10
Architecture: amd64
Filename: pool/code_1.10.deb
Size: 200
SHA256: {SHA}

Package: sly
Version: 1
Architecture: all
Filename: ../../etc/passwd
SHA256: {SHA}
"""


def test_an_apt_index_gives_the_newest_as_debian_compares() -> None:
    found, missing = read("apt", PACKAGES.encode())
    assert found == (Found("code", "1.10", "amd64", "pool/code_1.10.deb", SHA, 200),)
    assert [(m.name, m.reason) for m in missing] == [("sly", "all: no address of an artifact")]
    with pytest.raises(BadListing):
        read("apt", b"<html>\n")


def primary(*packages: str) -> bytes:
    ns = 'xmlns="http://linux.duke.edu/metadata/common"'
    return f"<?xml version='1.0'?><metadata {ns}>{''.join(packages)}</metadata>".encode()


def rpm(version: str, release: str, epoch: str = "0", kind: str = "sha256") -> str:
    return (
        f'<package type="rpm"><name>code</name><arch>x86_64</arch><version epoch="{epoch}" ver="{version}" '
        f'rel="{release}"/><checksum type="{kind}" pkgid="YES">{SHA}</checksum><size package="9"/>'
        f'<location href="code-{version}.rpm"/></package>'
    )


def test_an_rpm_index_gives_the_newest_as_rpm_compares() -> None:
    found, missing = read("rpm", primary(rpm("1.9", "1"), rpm("1.10", "1"), rpm("1.2", "1", "2", "sha")))
    assert found == ()
    assert missing[0].reason == "x86_64: its hash is sha, and only SHA-256 is taken"  # an epoch outweighs all
    found, _ = read("rpm", primary(rpm("1.9", "1"), rpm("1.10", "1")))
    assert found == (Found("code", "1.10-1", "x86_64", "code-1.10.rpm", SHA, 9),)


@pytest.mark.parametrize(
    "data",
    [b"<a/>", b"no", b"<!DOCTYPE x [<!ENTITY a 'b'>]><metadata/>", primary().decode().encode("utf-16"), b"<! entity >"],
)
def test_what_is_no_rpm_index_is_refused(data: bytes) -> None:
    with pytest.raises(BadListing):
        read("rpm", data)


PACKERS = {
    "gzip": gzip.compress, "xz": lzma.compress, "zstd": zstandard.ZstdCompressor().compress, "plain": bytes,
}  # fmt: skip


@pytest.mark.parametrize("packer", sorted(PACKERS))
def test_a_listing_may_be_packed_as_repositories_serve_it(packer: str) -> None:
    packed = PACKERS[packer](PACKAGES.encode())
    assert read("apt", packed)[0][0].version == "1.10"
    if packer != "plain":
        with pytest.raises(BadListing):
            read("apt", packed[:2] + b"\0" + packed[3:20])


@pytest.mark.parametrize("packer", ["gzip", "xz", "zstd"])
def test_a_small_file_never_becomes_a_large_one(packer: str) -> None:
    packed = PACKERS[packer](bytes(1_000_001))
    assert len(packed) < 5_000
    with pytest.raises(BadListing, match="more than 1000000"):
        unpacked(packed, 1_000_000)
    assert len(unpacked(packed, 1_000_001)) == 1_000_001


def test_an_unknown_form_says_which_there_are() -> None:
    with pytest.raises(BadListing, match="scoop, winget, feed, apt, rpm"):
        read("brew", b"")


@pytest.mark.parametrize(
    "url", ["https://x.example/a\0b", "https://x.example/a b", "https://x.example/\ud800", "https://é"]
)
def test_an_address_is_one_to_its_end(url: str) -> None:
    """What no store keeps must not come in behind a good beginning."""
    data = json.dumps({"v": "1", "u": url, "s": "a" * 64}).encode()
    found, missing = read("feed", data, "x", {"version": "v", "url": "u", "sha256": "s"})
    assert (found, [m.reason for m in missing]) == ((), ["any: no address of an artifact"])
