"""A vendor's files looked at by the real gpgv and rpmkeys, with keys that the test makes: what proves, and every way
that does not. The vendor and its packages are the test's own (*real tools, synthetic vendor*)."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests import vendorkeys
from tests.rpmrepo import Rpm, RpmRepository
from tests.support import require
from tests.vendorkeys import Vendor, minisign, minisign_key, packages, release
from tools.catalogue import MADE

from brakeline.catalog.curated.adopting import adopt
from brakeline.catalog.curated.definitions import read
from brakeline.catalog.curated.model import Adopted, NotListed, NotVouched, Product, Trust, Vouching
from brakeline.catalog.tools import Files, ToolMissing
from brakeline.protocol.software import read_package
from brakeline.protocol.software_rules import problem

CATALOGUE = read(MADE.read_bytes())
NOW_S = int(time.time())
DAY = 86_400
DATA = b"the vendor's program\n"
PLACE = "main/binary-amd64/Packages"


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    vendorkeys.needed()
    with tempfile.TemporaryDirectory(prefix="bv") as home:
        made = Vendor(Path(home) / "g")
        for who in ("good", "other", "revoked"):
            made.key(who)
        made.key("expired", expires="2d", at=NOW_S - 40 * DAY)
        yield made
        made.close()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def product(name: str, vendor: Vendor, who: str = "good") -> Product:
    """A product that ships, with the test's own vendor in the place of the real one."""
    found = CATALOGUE.find(name)
    assert found is not None
    keys = (minisign_key(),) if found.trust.by is Vouching.MINISIGN else (vendor.fingerprint(who),)
    return replace(found, trust=Trust(found.trust.by, keys))


def put(files: Files, **contents: bytes) -> Files:
    for role, data in contents.items():
        (files.directory / role).write_bytes(data)
    return files


def apt(
    files: Files, vendor: Vendor, who: str = "good", version: str = "12.3.0", at: int = 0, **change: bytes
) -> Files:
    listing = packages("grafana", version, DATA)
    index = vendor.inline(vendor.fingerprint(who), release({PLACE: listing}, at or NOW_S), at)
    return put(files, **{"listing": listing, "index": index, "key": vendor.public(), **change})


def taken(what: Product, files: Files, version: str = "") -> Adopted:
    return adopt(what, "amd64", version, files, NOW_S * 1000)


def refused(what: Product, files: Files, version: str = "") -> str:
    with pytest.raises(NotVouched) as why:
        taken(what, files, version)
    assert why.value.hint
    return why.value.detail


def test_from_a_signed_index_to_a_draft_that_could_be_signed(vendor: Vendor, files: Files) -> None:
    made = taken(product("grafana", vendor), apt(files, vendor))
    assert (made.version, made.sha256, made.left) == ("12.3.0", hashlib.sha256(DATA).hexdigest(), ())
    assert made.url == "https://apt.grafana.com/pool/grafana_12.3.0.deb"
    assert made.key == vendor.fingerprint("good")
    assert NOW_S * 1000 <= made.signed_ms <= time.time() * 1000, "gpg's own clock has signed it"
    software = read_package(made.package.encode())
    assert problem(software) == ""
    assert (software.name, software.detection.package) == ("grafana", "grafana")


def test_an_older_version_is_asked_for_by_name_where_a_repository_has_several(vendor: Vendor, files: Files) -> None:
    listing = packages("grafana", "12.3.0", DATA) + packages("grafana", "12.2.0", b"older")
    index = vendor.inline(vendor.fingerprint("good"), release({PLACE: listing}, NOW_S))
    put(files, listing=listing, index=index, key=vendor.public())
    what = product("grafana", vendor)
    assert [taken(what, files, version).version for version in ("", "12.2.0", "12.3.0")] == [
        "12.3.0",
        "12.2.0",
        "12.3.0",
    ]
    with pytest.raises(NotListed, match=r"no 12\.1\.0 of grafana"):
        taken(what, files, "12.1.0")
    both = primary(DATA).replace(b"</metadata>", b"") + primary(b"older", "12.2.0").partition(b">")[2]
    index = repomd(both)
    put(files, listing=both, index=index, signature=vendor.detached(vendor.fingerprint("good"), index))
    what = product("grafana-rpm", vendor)
    assert [taken(what, files, version).version for version in ("", "12.2.0-1")] == ["12.3.0-1", "12.2.0-1"]


@pytest.mark.parametrize(
    ("who", "says"),
    [("other", "none that the definition pins"), ("expired", "has expired"), ("revoked", "has revoked")],
)
def test_a_key_that_does_not_count_proves_nothing(vendor: Vendor, files: Files, who: str, says: str) -> None:
    pinned = "good" if who == "other" else who
    at = NOW_S - 39 * DAY if who == "expired" else 0
    apt(files, vendor, who, at=at)
    if who == "revoked":
        vendor.revoke(vendor.fingerprint(who))
        put(files, key=vendor.public())
    assert says in refused(product("grafana", vendor, pinned), files)


def test_a_file_of_keys_without_the_pinned_one_is_named(vendor: Vendor, files: Files) -> None:
    apt(files, vendor, key=vendor.public("other@vendor.example", armoured=False))
    told = refused(product("grafana", vendor), files)
    assert vendor.fingerprint("other") in told
    assert vendor.fingerprint("good") in told


def test_what_was_changed_after_signing_is_refused(vendor: Vendor, files: Files) -> None:
    apt(files, vendor)
    index = files.read("index", 1 << 20)
    put(files, index=index.replace(b"Date: ", b"Date:  "))
    assert "changed after it was signed" in refused(product("grafana", vendor), files)
    put(files, index=b"Date: x\n" + index, listing=packages("grafana", "99", b"evil"))
    assert "is not the main/binary-amd64/Packages" in refused(product("grafana", vendor), files)


def test_text_around_a_signed_index_counts_for_nothing(vendor: Vendor, files: Files) -> None:
    apt(files, vendor)
    evil = packages("grafana", "99", b"evil")
    put(files, listing=evil, index=files.read("index", 1 << 20) + release({PLACE: evil}, NOW_S))
    assert "is not the main/binary-amd64/Packages" in refused(product("grafana", vendor), files)


def test_another_place_of_the_same_index_is_no_proof(vendor: Vendor, files: Files) -> None:
    listing = packages("grafana", "99", b"beta", "amd64")
    index = vendor.inline(vendor.fingerprint("good"), release({"beta/binary-amd64/Packages": listing}, NOW_S))
    put(files, listing=listing, index=index, key=vendor.public())
    assert "names no main/binary-amd64/Packages" in refused(product("grafana", vendor), files)


def test_an_index_whose_time_is_over_is_an_old_one(vendor: Vendor, files: Files) -> None:
    listing = packages("grafana", "1.0", DATA)
    index = vendor.inline(vendor.fingerprint("good"), release({PLACE: listing}, NOW_S - 9 * DAY, NOW_S - DAY))
    put(files, listing=listing, index=index, key=vendor.public())
    assert "was valid until" in refused(product("grafana", vendor), files)


def test_an_unsigned_index_is_none(vendor: Vendor, files: Files) -> None:
    apt(files, vendor, index=release({PLACE: packages("grafana", "12.3.0", DATA)}, NOW_S))
    assert "there is no signature" in refused(product("grafana", vendor), files)


def test_a_packed_index_is_not_unfolded(vendor: Vendor, files: Files) -> None:
    packed = vendor.gpg(
        "--compress-algo", "zlib", "--local-user", vendor.fingerprint("good"), "--sign", said=bytes(1 << 24)
    )
    apt(files, vendor, index=packed)
    assert len(packed) < 1 << 16
    assert "there is no signature" in refused(product("grafana", vendor), files)
    covered = files.directory / "covered"
    assert not covered.exists() or not covered.stat().st_size


def sums(files: Files, vendor: Vendor, named: str, data: bytes = DATA, who: str = "good") -> Files:
    listing = f"{hashlib.sha256(data).hexdigest()}  {named}\n{'0' * 64}  packer_1.9.0_windows_amd64.zip\n".encode()
    signature = vendor.detached(vendor.fingerprint(who), listing)
    return put(files, listing=listing, signature=signature, key=vendor.public(), artifact=DATA)


def test_a_signed_list_of_sums(vendor: Vendor, files: Files) -> None:
    made = taken(product("packer", vendor), sums(files, vendor, "packer_1.11.2_linux_amd64.zip"))
    assert (made.version, made.left) == ("1.11.2", ())
    assert made.url == "https://releases.hashicorp.com/packer/1.11.2/packer_1.11.2_linux_amd64.zip"
    assert f'"bytes": {len(DATA)}' in made.package


def test_a_sum_for_another_file_is_no_sum_for_this_one(vendor: Vendor, files: Files) -> None:
    sums(files, vendor, "packer_1.11.2_linux_amd64.zip", b"another")
    assert "another file" in refused(product("packer", vendor), files)
    sums(files, vendor, "packer_1.11.2_linux_arm64.zip")
    with pytest.raises(Exception, match="names no"):
        taken(product("packer", vendor), files)
    sums(files, vendor, "packer_1.11.2_linux_amd64.zip", who="other")
    assert "none that the definition pins" in refused(product("packer", vendor), files)


def test_a_signature_over_the_file_itself(vendor: Vendor, files: Files) -> None:
    what = product("keepassxc", vendor)
    put(files, artifact=DATA, key=vendor.public(), signature=vendor.detached(vendor.fingerprint("good"), DATA))
    made = taken(what, files, "2.7.12")
    assert (made.version, made.left) == ("2.7.12", ())
    assert made.url.endswith("/2.7.12/KeePassXC-2.7.12-x86_64.AppImage")
    put(files, artifact=DATA + b"!")
    assert "changed after it was signed" in refused(what, files, "2.7.12")
    weak = vendor.detached(vendor.fingerprint("good"), DATA, 0, "--digest-algo", "SHA1", "--weak-digest", "MD5")
    put(files, artifact=DATA, signature=weak)
    assert refused(what, files, "2.7.12")


def test_minisign(vendor: Vendor, files: Files) -> None:
    what, file = product("zig", vendor), "zig-x86_64-linux-0.15.1.tar.xz"
    put(files, artifact=DATA, signature=minisign(DATA, f"timestamp:{NOW_S}\tfile:{file}\thashed"))
    made = taken(what, files, "0.15.1")
    assert (made.version, made.signed_ms, made.left) == ("0.15.1", NOW_S * 1000, ())
    assert "is of 'zig-x86_64" in refused(what, files, "0.15.2"), "an older file under a newer name"
    put(files, artifact=DATA + b"!")
    assert "not of this file" in refused(what, files, "0.15.1")
    put(files, artifact=DATA, signature=minisign(DATA, "x", bytes(32), b"87654321"))
    assert "pins another" in refused(what, files, "0.15.1")
    forged = minisign(DATA, f"timestamp:{NOW_S}").replace(b"timestamp:", b"timestamp:9")
    put(files, signature=forged)
    assert "comment of the minisign signature was changed" in refused(what, files, "0.15.1")
    put(files, signature=minisign(DATA, "x", bytes(32)))  # the pinned key's number, another key
    assert "not of this file" in refused(what, files, "0.15.1")


def repomd(listing: bytes) -> bytes:
    return (
        '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">'
        f'<checksum type="sha256">{hashlib.sha256(listing).hexdigest()}</checksum>'
        '<location href="repodata/primary.xml.gz"/></data></repomd>'
    ).encode()


def primary(data: bytes, version: str = "12.3.0") -> bytes:
    return (
        '<metadata xmlns="http://linux.duke.edu/metadata/common"><package type="rpm"><name>grafana</name>'
        f'<arch>x86_64</arch><version epoch="0" ver="{version}" rel="1"/>'
        f'<checksum type="sha256" pkgid="YES">{hashlib.sha256(data).hexdigest()}</checksum>'
        f'<size package="{len(data)}"/><location href="grafana-{version}-1.x86_64.rpm"/></package></metadata>'
    ).encode()


def test_a_signed_repomd(vendor: Vendor, files: Files) -> None:
    listing = primary(DATA)
    index = repomd(listing)
    signature = vendor.detached(vendor.fingerprint("good"), index)
    put(files, listing=listing, index=index, signature=signature, key=vendor.public())
    what = product("grafana-rpm", vendor)
    made = taken(what, files)
    assert (made.version, made.left) == ("12.3.0-1", ())
    assert made.url == "https://rpm.grafana.com/grafana-12.3.0-1.x86_64.rpm"
    put(files, listing=primary(b"evil", "99"))
    assert "is not the primary.xml" in refused(what, files)
    put(files, index=repomd(primary(b"evil", "99")))
    assert "changed after it was signed" in refused(what, files)
    put(files, index=index, listing=listing, signature=vendor.detached(vendor.fingerprint("other"), index))
    assert "none that the definition pins" in refused(what, files)


def named(data: bytes) -> bytes:
    return primary(data, "8.16.0").replace(b"grafana", b"filebeat").replace(b"<arch>x86_64<", b"<arch>noarch<")


def test_the_signature_in_an_rpm(vendor: Vendor, files: Files, tmp_path_factory: pytest.TempPathFactory) -> None:
    for tool in ("rpmbuild", "rpmsign", "rpmkeys"):
        require(shutil.which(tool), f"{tool} (see tools/debian-packages.txt)")
    vendor.key("packager", "rsa2048")
    repository = RpmRepository(tmp_path_factory.mktemp("rpm"))
    repository.stop()  # only built, never served
    repository._build(Rpm("filebeat", "8.16.0", files={"/usr/share/filebeat": "x\n"}))
    (path,) = repository.directory.glob("*.rpm")
    unsigned = path.read_bytes()
    words = [
        "rpmsign",
        "--define",
        f"__gpg {shutil.which('gpg')}",
        "--define",
        f"_gpg_name {vendor.fingerprint('packager')}",
        "--define",
        f"_gpg_path {vendor.home}",
    ]
    quiet = ["--define", "_gpg_sign_cmd_extra_args --pinentry-mode loopback --passphrase ''"]
    done = subprocess.run([*words, *quiet, "--addsign", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    data = path.read_bytes()
    what = product("filebeat-rpm", vendor, "packager")
    listing = named(data)
    put(files, listing=listing, artifact=data, key=vendor.public())
    assert taken(what, files).vouched.startswith("The rpm is signed by the vendor")
    both = replace(what, trust=Trust(Vouching.PACKAGE, (vendor.fingerprint("good"), vendor.fingerprint("packager"))))
    assert taken(both, files).key == vendor.fingerprint("packager"), "the one that has signed, not the first"
    put(files, listing=listing.replace(b"8.16.0", b"9.0.0"))
    assert "calls itself filebeat 8.16.0-1 noarch, and the listing calls it filebeat 9.0.0-1" in refused(what, files)
    put(files, listing=listing)
    assert "is not signed by a key that the definition pins" in refused(product("filebeat-rpm", vendor, "good"), files)
    put(files, listing=named(unsigned), artifact=unsigned)
    assert "is not signed" in refused(what, files)
    broken = bytearray(data)
    broken[-3] ^= 1
    put(files, listing=named(bytes(broken)), artifact=bytes(broken))
    assert "is not signed" in refused(what, files)


def test_without_the_tool_nothing_is_believed(vendor: Vendor, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    what, _ = product("grafana", vendor), apt(files, vendor)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolMissing, match="gpgv is not here"):
        taken(what, files)


def test_an_upload_is_plain_files_called_by_their_roles(tmp_path: Path) -> None:
    import tarfile

    from brakeline.catalog.tools import unpack
    from brakeline.core.errors import Invalid

    def packed(*names: str, kind: bytes = tarfile.REGTYPE) -> io.BytesIO:
        target = io.BytesIO()
        with tarfile.open(fileobj=target, mode="w") as tar:
            for name in names:
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = kind, "/etc/shadow"
                tar.addfile(entry)
        target.seek(0)
        return target

    for odd in (packed("../listing"), packed("covered"), packed("listing", kind=tarfile.SYMTYPE), packed("key", "key"),
                io.BytesIO(b"no tar at all")):  # fmt: skip
        place = tmp_path / str(id(odd))
        place.mkdir()
        with pytest.raises(Invalid):
            unpack(odd, place, 1000)
    assert unpack(packed("listing", "key"), tmp_path, 1000).has("key")


@pytest.mark.parametrize("size", [-1, -512, -1024, -(1 << 40)])
def test_a_file_of_less_than_nothing_makes_no_room_for_others(tmp_path: Path, size: int) -> None:
    import tarfile

    from brakeline.catalog.tools import unpack
    from brakeline.core.errors import Invalid

    head = bytearray(tarfile.TarInfo("listing").tobuf(tarfile.GNU_FORMAT))
    head[124:136], head[148:156] = size.to_bytes(12, "big", signed=True), b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    with pytest.raises(Invalid):
        unpack(io.BytesIO(bytes(head) + bytes(1024)), tmp_path, 1000)
