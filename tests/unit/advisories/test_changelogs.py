"""Changelogs -> what they fixed, by the rule of the running minimum."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brakeline.advisories.changelogs import CHANGELOG_BYTES_MAX, Entry, NoChangelog, Row, entries, lines, merged, rows
from brakeline.advisories.importers import BadFeed
from brakeline.advisories.osv.feeds import read
from brakeline.core.debversion import deb_key

TEXT = """\
less (590-2.1~deb12u2) bookworm-security; urgency=high

  * Non-maintainer upload by the Security Team.
  * CVE-2024-32487, and CVE-2022-48624 once more

 -- A Person <a@example.org>  Fri, 10 May 2024 18:00:00 +0200

less (590-2.1) unstable experimental; urgency=Medium, binary-only=yes

  * Fix CVE-2022-46663 (Closes: #1),
    CVE-2022-46663

 -- B <b@example.org>  Thu, 1 Jan 1970 00:00:00 +0000

less (590-2) unstable; urgency=low

  * CVE-2022-48624 in part

 -- B <b@example.org>  no date at all
Local variables:
"""


def test_a_cve_is_fixed_from_the_lowest_version_that_stands_above_its_entry() -> None:
    assert rows(entries(TEXT.encode())) == [
        Row("less", "CVE-2022-46663", "590-2.1~deb12u2", "1970-01-01", "medium", "unstable"),
        Row("less", "CVE-2022-48624", "590-2", "", "low", "unstable"),
        Row("less", "CVE-2024-32487", "590-2.1~deb12u2", "2024-05-10", "high", "bookworm-security"),
    ]


def test_old_bytes_odd_versions_and_what_is_none() -> None:
    latin = TEXT.replace("A Person", "Ren\xe9").encode("latin-1")
    assert len(rows(entries(latin))) == 3
    odd = "x (1_0:a) unstable; urgency=low\n  CVE-2024-1111\n\nx (1) unstable; urgency=low\n  CVE-2024-2222\n"
    assert [(r.cve, r.fixed) for r in rows(entries(odd.encode()))] == [("CVE-2024-2222", "1")]
    for data in (b"", b"* 2019-01-01 somebody\n", b"x" * (CHANGELOG_BYTES_MAX + 1)):
        with pytest.raises(NoChangelog):
            entries(data)


def test_several_changelogs_of_one_source() -> None:
    one, two = Row("a", "CVE-2024-1111", "2", "", "", ""), Row("a", "CVE-2024-1111", "1~rc1", "", "", "")
    assert merged([one, two]) == merged([two, one]) == [two]


VERSIONS = st.sampled_from(["1", "1.1~deb12u1", "1.1", "2", "2+b1", "1:0.5", "3~rc1"])
SAID = st.lists(
    st.builds(lambda v, cves: Entry("s", v, "d", "low", "", tuple(cves)), VERSIONS,
              st.sets(st.sampled_from(["CVE-2024-1111", "CVE-2024-2222"]))), max_size=6,
)  # fmt: skip


@given(SAID)
def test_the_rule_against_its_own_words(said: list[Entry]) -> None:
    """`said` is newest first: the oldest entry that names a CVE, and the lowest version from there to the newest."""
    expected = {}
    for at, entry in enumerate(said):
        for cve in entry.cves:
            expected[cve] = min(deb_key(e.version) for e in said[: at + 1])
    assert {r.cve: deb_key(r.fixed) for r in rows(said)} == expected


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.integers(0, len(TEXT)))
def test_any_bytes_anywhere_are_rows_or_no_changelog(junk: bytes, at: int) -> None:
    data = TEXT.encode()
    for said in (junk, data[:at] + junk + data[at:]):
        with contextlib.suppress(NoChangelog):
            rows(entries(said))


def test_the_file_is_a_feed_of_its_release() -> None:
    file = "\n".join(lines(rows(entries(TEXT.encode())))).encode()
    found = read("changelogs-debian-12", file)
    assert [(r.ecosystem, r.name, r.id, r.fixed) for r in found.spans][2] == (
        "debian:12", "less", "CVE-2024-32487", "590-2.1~deb12u2",
    )  # fmt: skip
    assert found.issued == "2024-05-10T00:00:00Z"
    assert read("changelogs-ubuntu-22.04", file).spans[0].ecosystem == "ubuntu:22.04"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"fixed": ""}, "line 1"), ({"fixed": "1_0:x"}, "line 1"), ({"cve": "CVE-1"}, "no CVE"),
        ({"source": "A B"}, "no source"), ({"date": "soon"}, "no day"), ({"more": "x"}, "nothing else"),
        ({"dist": None}, "nothing else"),
    ],
)  # fmt: skip
def test_a_garbled_line_refuses_the_file(changed: dict[str, object], says: str) -> None:
    said = {"source": "a", "cve": "CVE-2024-1111", "fixed": "1", "date": "", "urgency": "", "dist": ""}
    with pytest.raises(BadFeed) as e:
        read("changelogs-debian-12", json.dumps(said | changed).encode())
    assert says in str(e.value)
    with pytest.raises(BadFeed, match="line 2: CVE-2024-1111 of a stands there twice"):
        read("changelogs-debian-12", b"\n".join([json.dumps(said).encode()] * 2))
