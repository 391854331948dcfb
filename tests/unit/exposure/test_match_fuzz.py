"""Whatever feeds and endpoints say, the matcher answers: it never raises, and what it answers holds."""

from __future__ import annotations

import json

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.ecosystems import TABLE, canonical, key_of, order_of, shown
from brakeline.advisories.model import Advisory, AdvisoryState
from brakeline.advisories.osv.model import Span
from brakeline.exposure.files import BadInventory, inventory
from brakeline.exposure.match import OPEN, Book, assess
from brakeline.exposure.model import Installed
from brakeline.exposure.spans import names_of, rows_of

SYSTEMS = ("debian:12", "ubuntu:22.04", "almalinux:9.4", "sles:15.5", "alpine:3.20.1", "arch", "windows:10", "")
SAID = ("", *(row.name for row in TABLE), "deb", "rpm", "apk", "alpm", "nonsense", "PyPI", "\udcff")
# Versions as they are, as they should never be, and as nobody writes them.
STRANGE = (
    "",
    " ",
    "0",
    "1" * 300,
    "1." * 200,
    "1:" * 9 + "1",
    "\x00",
    "\ud800",
    "٣.١",
    "v",
    "~",
    "-",
    ":",
    "1-",
    "\n1",
)
versions = st.one_of(
    st.from_regex(r"(?a:([0-2]:)?[0-9]{1,2}(\.[0-9]{1,3}){0,3}(-r?[0-9])?)", fullmatch=True), st.sampled_from(STRANGE),
    st.text(max_size=12),
)  # fmt: skip
names = st.sampled_from(
    ("curl", "linux", "linux-image-6.1.0-1-amd64", "kernel-core", "Foo.Bar", "shim-signed", "\ud800")
)
ids = st.sampled_from(("", "CVE-2026-1", "CVE-2026-2", "DEBIAN-CVE-2026-1", "GHSA-a", "GHSA-b", "ALBA-1", "DSA-1"))
modules = st.sampled_from(("", "?", "nodejs:18", "nodejs:18:1:2", ":", "a:b:c:d", "\ud800"))
states = st.sampled_from([state.value for state in AdvisoryState] + ["perhaps"])
ecosystems = st.one_of(st.sampled_from(SAID), st.sampled_from(SYSTEMS), st.text(max_size=12))
rows = st.builds(
    Advisory, source=names, cve=ids, fixed=versions, introduced=versions, ecosystem=ecosystems, state=states, id=ids,
    last_affected=versions, module=modules,
)  # fmt: skip
spans = st.builds(
    Span, ecosystem=st.sampled_from((*SAID, "debian:12", "almalinux:9")), name=names, id=ids, introduced=versions,
    fixed=versions, last_affected=versions, versions=st.lists(versions, max_size=3).map(tuple),
    aliases=st.lists(ids, max_size=4).map(tuple), related=st.lists(ids, max_size=4).map(tuple), state=states,
    module=modules,
)  # fmt: skip
items = st.builds(
    Installed, package=names, source=names, source_version=versions, version=versions,
    architecture=st.sampled_from(("amd64", "x86_64", "")), state=st.sampled_from(("ii", "rc", "", "i", "un")),
    origin=st.sampled_from(("", "Debian", "PyPI", "Debian Backports", "x")), ecosystem=ecosystems, module=modules,
    owner=st.sampled_from(("", "python3-yaml")),
)  # fmt: skip


@given(st.lists(items, max_size=6), st.lists(rows, max_size=8), st.lists(spans, max_size=8), st.sampled_from(SYSTEMS),
       versions)  # fmt: skip
def test_the_matcher_never_raises_and_every_package_is_judged_or_told(
    installed: list[Installed], said: list[Advisory], more: list[Span], system: str, kernel: str
) -> None:
    book = Book(said, frozenset(("CVE-2026-1",)), spans=more)
    answer = assess(installed, book, system, kernel)
    assert answer.assessed >= 0
    for finding in answer.findings:
        rows_of_it = book.rows_of(finding.ecosystem, finding.source)
        row = next(r for r in rows_of_it if r.state in OPEN and (r.cve, r.fixed) == (finding.cve, finding.fixed))
        key = key_of(finding.ecosystem)
        assert key is not None
        assert not row.fixed or key(finding.installed) < key(row.fixed)
        assert not row.introduced or not key(finding.installed) < key(row.introduced)


@given(st.lists(spans, max_size=12))
def test_circles_of_aliases_end_and_their_members_have_one_name(said: list[Span]) -> None:
    found = names_of(said)
    for span in said:
        for other in said:
            both = {span.id, *span.aliases} & {other.id, *other.aliases}
            nameless = not any("CVE" in name for each in (span, other) for name in found[each.id])
            if both and nameless and found[span.id] and found[other.id]:
                assert found[span.id] == found[other.id]
    assert len(list(rows_of(said))) <= 12 * 4 * 12


def test_a_long_chain_of_aliases_is_one_vulnerability() -> None:
    chain = [Span("pypi", "x", f"GHSA-{n:04}", fixed="2", aliases=(f"GHSA-{n + 1:04}",)) for n in range(500)]
    circle = [*chain, Span("pypi", "x", "GHSA-0500", fixed="2", aliases=("GHSA-0000", "CVE-2026-7"))]
    assert {row.cve for row in rows_of(chain)} == {"GHSA-0000"}
    assert {row.cve for row in rows_of(circle)} == {"CVE-2026-7"}


def test_an_id_that_stands_there_a_thousand_times_is_told_once() -> None:
    said = [Span("npm", "x", "GHSA-1", part=n, fixed="2.0.0", aliases=("CVE-2026-1",)) for n in range(1_000)]
    answer = assess([Installed("x", "x", "1.0.0", "1.0.0", ecosystem="npm")], Book((), spans=said), "debian:12")
    assert [f.cve for f in answer.findings] == ["CVE-2026-1"]


@given(st.text(max_size=40))
def test_every_name_of_an_ecosystem_has_one_form(name: str) -> None:
    once = canonical(name)
    assert canonical(once) == once
    assert order_of(name) == order_of(once)
    assert isinstance(shown(once), str)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_table_of_ecosystems_is_one(row: tuple[str, ...]) -> None:
    name = row[0]
    assert canonical(name) == name
    assert [other.name for other in TABLE if name in (other.name, *other.also)] == [name]
    if name not in ("suse", "opensuse"):
        assert canonical(shown(name if order_of(name) not in ("deb", "rpm", "apk") else f"{name}:9.4")).startswith(
            name if name != "sles" else "suse"
        )


def test_ten_million_packages_are_refused_before_they_fill_the_memory() -> None:
    line = json.dumps({"package": "a", "version": "1"}).encode() + b"\n"
    machine = zstandard.ZstdCompressor().compressobj()
    packed = b"".join(machine.compress(line * 100_000) for _ in range(100)) + machine.flush()
    assert len(packed) < 1_000_000
    with pytest.raises(BadInventory, match="more than"):
        inventory(packed, "bomb")
    with pytest.raises(BadInventory, match="packages"):
        inventory(line * 20_001, "many")
