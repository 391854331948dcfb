"""The curated catalogue: what ships makes sense, what is odd is refused, and drafts of real manifests can be signed."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.unit.catalog.bench import Bench
from tests.vendorkeys import minisign, minisign_key
from tools import catalogue as tool

from brakeline.catalog.curated.adopting import adopt, needs
from brakeline.catalog.curated.definitions import read
from brakeline.catalog.curated.drafting import before, subject_of
from brakeline.catalog.curated.model import BadCatalogue, Catalogue, Form, NotVouched, Trust, Vouching
from brakeline.catalog.discovery.model import BadListing
from brakeline.core.errors import Invalid
from brakeline.protocol.software import read_package
from brakeline.protocol.software_rules import problem

DATA = Path(__file__).parents[2] / "data/catalog/scoop-extras.jsonl.zst"
NOW_MS = 1_795_000_000_000


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return read(tool.MADE.read_bytes())


def test_what_ships_is_what_its_sources_make(shipped: Catalogue) -> None:
    assert tool.MADE.read_text(encoding="utf-8") == tool.made(), "python tools/catalogue.py"
    assert len(shipped.products) >= 60
    assert {p.platform for p in shipped.products} == {"linux", "windows"}
    assert {p.trust.by for p in shipped.products} == set(Vouching)


def test_nothing_for_linux_ships_that_nobody_vouches_for(shipped: Catalogue) -> None:
    unsigned = (Vouching.SAID, Vouching.PUBLISHER)
    assert not [p.name for p in shipped.products if p.platform == "linux" and p.trust.by in unsigned]


def test_each_says_which_files_to_fetch(shipped: Catalogue) -> None:
    for p in shipped.products:
        for architecture in p.architectures:
            files = needs(p, architecture, "1.2")
            assert files
            assert all(address.startswith("https://") and "{" not in address for address in files.values()), p.name


def test_real_manifests_of_every_windows_product_become_drafts_that_could_be_signed(shipped: Catalogue) -> None:
    listing = zstandard.ZstdDecompressor().stream_reader(DATA.read_bytes()).read()
    made = 0
    for p in (p for p in shipped.products if p.source.form is Form.SCOOP):
        for architecture in p.architectures:
            adopted = adopt(p, architecture, "", Bench({"listing": listing}), NOW_MS)
            plain = json.loads(adopted.package)
            assert adopted.left == (adopted.left[0],), p.name  # nobody says how large it is
            assert "artifact.bytes" in adopted.left[0]
            plain["artifact"]["bytes"] = 1
            software = read_package(json.dumps(plain).encode())
            assert problem(software) == "", p.name
            assert (software.pre is not None) == bool(p.trust.publisher), p.name
            assert software.version == adopted.version
            made += 1
    assert made >= 25


def test_without_a_signature_the_draft_says_so(shipped: Catalogue) -> None:
    listing = zstandard.ZstdDecompressor().stream_reader(DATA.read_bytes()).read()
    said = adopt(_named(shipped, "krita"), "x64", "", Bench({"listing": listing}), NOW_MS)
    assert "no signature" in said.vouched
    signed = adopt(_named(shipped, "wireshark"), "x64", "", Bench({"listing": listing}), NOW_MS)
    assert "Wireshark Foundation" in signed.vouched
    assert "Get-AuthenticodeSignature" in json.loads(signed.package)["pre"]["text"]


@pytest.mark.parametrize(
    ("publisher", "subject", "good"),
    [
        ("JetBrains s.r.o.", "CN=JetBrains s.r.o., O=JetBrains s.r.o., L=Praha, C=CZ", True),
        ("JetBrains s.r.o.", "O=JetBrains s.r.o.", True),
        ("Foo, Inc.", 'CN="Foo, Inc.", O="Foo, Inc.", C=US', True),
        ("JetBrains s.r.o.", "CN=x, O=JetBrains s.r.o. of Nowhere, C=US", False),
        ("JetBrains s.r.o.", "CN=x, O=JetBrainsXsXrXoX, C=US", False),
        ("JetBrains s.r.o.", "CN=O=JetBrains s.r.o., O=Evil, C=US", False),
        ("JetBrains s.r.o.", 'CN="x, O=JetBrains s.r.o., y", O=Evil, C=US', False),
        ("JetBrains s.r.o.", "CN=JetBrains s.r.o., OO=JetBrains s.r.o., C=US", False),
        ("JetBrains s.r.o.", "CN=x, O=jetbrains s.r.o.", False),
    ],
)
def test_a_publisher_is_the_whole_organisation_of_the_certificate(publisher: str, subject: str, good: bool) -> None:
    """As .NET writes a subject; the pattern means the same to its engine."""
    assert bool(re.search(subject_of(publisher), subject)) is good


def test_a_quote_in_a_publisher_does_not_end_the_script_s_text(shipped: Catalogue) -> None:
    found = _named(shipped, "wireshark")
    script = before(replace(found, trust=Trust(Vouching.PUBLISHER, (), "O'Reilly\u2019s")))
    assert script is not None
    assert "O''Reilly\u2019\u2019s'; exit 1" in script.text
    assert "O=(?:O''Reilly\u2019\u2019s|" in script.text


def test_an_artifact_that_is_another_file_is_not_taken(shipped: Catalogue) -> None:
    listing = zstandard.ZstdDecompressor().stream_reader(DATA.read_bytes()).read()
    bench = Bench({"listing": listing, "artifact": b"another"})
    with pytest.raises(NotVouched, match="another file"):
        adopt(_named(shipped, "krita"), "x64", "", bench, NOW_MS)


def test_what_is_missing_is_said_with_where_it_is(shipped: Catalogue) -> None:
    with pytest.raises(Invalid, match=r"fetch https://apt\.grafana\.com/dists/stable/main/binary-arm64/Packages"):
        adopt(_named(shipped, "grafana"), "arm64", "", Bench({}), NOW_MS)
    with pytest.raises(Invalid, match="for amd64, arm64, not for"):
        adopt(_named(shipped, "grafana"), "s390x", "", Bench({}), NOW_MS)


def test_a_feed_says_the_version_and_the_artifact_its_own_hash(shipped: Catalogue) -> None:
    zig = _named(shipped, "zig")
    source = replace(
        zig.source, form=Form.FEED, listing="https://ziglang.org/download/index.json", paths={"version": "a.0.v"}
    )
    product = replace(zig, source=source, trust=Trust(Vouching.SAID))
    files = {"listing": b'{"a": [{"v": "v0.15.1"}]}', "artifact": b"zig"}
    made = adopt(product, "arm64", "", Bench(files), NOW_MS)
    assert (made.version, made.left) == ("0.15.1", ())
    assert made.url == "https://ziglang.org/download/0.15.1/zig-aarch64-linux-0.15.1.tar.xz"
    assert made.sha256 == hashlib.sha256(b"zig").hexdigest()
    with pytest.raises(Invalid, match="give the artifact too"):
        adopt(product, "arm64", "", Bench({"listing": files["listing"]}), NOW_MS)
    with pytest.raises(BadListing, match="leads to no text"):
        adopt(product, "arm64", "", Bench({**files, "listing": b"{}"}), NOW_MS)
    full = replace(source, paths={"version": "v", "url": "u", "sha256": "s", "bytes": "b"})
    listing = json.dumps({"v": "1.2", "u": "https://x.example/a_1.2~b.deb", "s": "a" * 64, "b": 7}).encode()
    made = adopt(replace(product, source=full), "arm64", "", Bench({"listing": listing}), NOW_MS)
    assert (made.version, made.left) == ("1.2", ())
    assert '"file": "a_1.2-b.deb"' in made.package, "a plain name for the file"


def test_the_newest_of_a_feed_is_not_an_older_file_that_its_vendor_signed_once(shipped: Catalogue) -> None:
    zig = _named(shipped, "zig")
    source = replace(zig.source, form=Form.FEED, listing="https://ziglang.org/index.json", paths={"version": "v"})
    product = replace(zig, source=source, trust=Trust(Vouching.MINISIGN, (minisign_key(),)))
    signature = minisign(b"zig", "timestamp:1795000000\tfile:zig-aarch64-linux-0.14.0.tar.xz\thashed")
    files = {"listing": b'{"v": "0.15.1"}', "artifact": b"zig", "signature": signature}
    with pytest.raises(NotVouched, match=r"is of 'zig-aarch64-linux-0\.14\.0"):
        adopt(product, "arm64", "", Bench(files), NOW_MS)
    made = adopt(product, "arm64", "", Bench({**files, "listing": b'{"v": "0.14.0"}'}), NOW_MS)
    assert (made.version, made.key) == ("0.14.0", minisign_key())


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (
            {"listing": "https://x.example/a.json", "paths": {"version": "v", "url": "u"}},
            "alone or with url and sha256",
        ),
        ({"listing": "https://x.example/a.json", "paths": {"url": "u"}}, "alone or with url and sha256"),
        ({"listing": "https://x.example/a.json", "paths": {"version": "v"}}, "source.artifact is missing"),
        ({"paths": {"version": "v", "url": "u", "sha256": "s"}}, "source.listing is missing"),
    ],
)
def test_a_feed_of_which_nothing_could_be_adopted_is_refused(source: dict[str, Any], says: str) -> None:
    product = {**GOOD, "trust": {"by": "said"}, "source": {"form": "feed", **source}}
    with pytest.raises(BadCatalogue, match=says):
        read(json.dumps({"format": 1, "edition": "2026.1.1", "products": [product]}).encode())


def _named(catalogue: Catalogue, name: str) -> Any:
    found = catalogue.find(name)
    assert found is not None
    return found


GOOD = json.loads(tool.made())["products"][0]
ODD: dict[str, tuple[dict[str, Any], str]] = {
    "a key": ({"only_if": "x"}, "a key 'only_if' that nobody knows"),
    "a nested key": ({"trust": {**GOOD["trust"], "also": 1}}, "trust has a key 'also'"),
    "no fingerprint": ({"trust": {**GOOD["trust"], "keys": ["2012EA22"]}}, "40 hex digits"),
    "no key at all": ({"trust": {**GOOD["trust"], "keys": []}}, "40 hex digits"),
    "another proof": ({"trust": {"by": "said"}}, "is vouched for by release, not by said"),
    "plain http": ({"source": {**GOOD["source"], "index": "http://x.example/InRelease"}}, "is no https address"),
    "no index": ({"source": {**GOOD["source"], "index": ""}}, "source.index is missing"),
    "a hole": ({"source": {**GOOD["source"], "index": "https://x.example/{host}/InRelease"}}, "neither version nor"),
    "asks": ({"install": {"interpreter": "perl", "text": "x"}}, "the interpreter is one of"),
    "no architecture": ({"architectures": {}}, "architectures names at least one"),
    "a publisher here": ({"trust": {**GOOD["trust"], "publisher": "X"}}, "trust.publisher belongs to publisher"),
    "elsewhere": ({"detection": {"kind": "file", "path": "/home/x", "pattern": "([0-9])"}}, "the agent does not look"),
}  # fmt: skip


@pytest.mark.parametrize("case", ODD)
def test_a_definition_that_could_not_be_adopted_is_refused_with_its_name(case: str) -> None:
    change, says = ODD[case]
    with pytest.raises(BadCatalogue) as refused:
        read(json.dumps({"format": 1, "edition": "2026.1.1", "products": [{**GOOD, **change}]}).encode())
    assert says in refused.value.detail
    assert GOOD["name"] in refused.value.detail


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"{", "not JSON"), (b"[]", "no JSON object"), (b'{"format": 2}', "format is '2'"),
        (b'{"format": 1, "edition": "soon", "products": []}', "edition is a day"),
        (b'{"format": 1, "edition": "2026.1.1", "products": []}', "a list of 1 to"),
        (json.dumps({"format": 1, "edition": "2026.1.1", "products": [GOOD, GOOD]}).encode(), "is there twice"),
    ],
)  # fmt: skip
def test_what_is_no_catalogue_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(BadCatalogue) as refused:
        read(data)
    assert says in refused.value.detail
