"""Each rule of matching, told by the false alarm or the miss that its absence causes elsewhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.model import Advisory
from brakeline.core.debversion import deb_key
from brakeline.exposure.match import Book, assess
from brakeline.exposure.model import Assessment, Installed

DEBIAN = "debian:12"


def installed(package: str, version: str, source: str = "", source_version: str = "", **more: str) -> Installed:
    return Installed(package, source or package, source_version or version, version, **more)


def answer(items: list[Installed], *rows: Advisory, kernel: str = "", release: str = DEBIAN) -> Assessment:
    return assess(items, Book(rows), release, kernel)


def pairs(found: Assessment) -> list[tuple[str, str]]:
    return [(f.package, f.cve) for f in found.findings]


CURL = Advisory("curl", "CVE-2025-1", "7.88.1-10+deb12u15")


def test_open_below_the_fix_closed_from_it_on() -> None:
    for version, open_here in (("7.88.1-10+deb12u9", True), ("7.88.1-10+deb12u15", False), ("8.0-1", False)):
        assert bool(answer([installed("curl", version)], CURL).findings) is open_here


def test_matched_by_source_not_by_binary() -> None:
    """libcurl4 is vulnerable through its source curl; a binary that is only called curl is not."""
    library = installed("libcurl4", "7.88.1-10", source="curl")
    namesake = installed("curl", "1.0-1", source="curl-lookalike")
    assert pairs(answer([library, namesake], CURL)) == [("libcurl4", "CVE-2025-1")]


def test_the_source_version_decides_where_the_binary_counts_otherwise() -> None:
    """bsdutils is 1:2.38.1-5 of util-linux 2.38.1-5: its own version would look fixed for ever."""
    row = Advisory("util-linux", "CVE-2025-2", "2.38.1-5+deb12u4")
    item = installed("bsdutils", "1:2.38.1-5+deb12u3", "util-linux", "2.38.1-5+deb12u3")
    assert pairs(answer([item], row)) == [("bsdutils", "CVE-2025-2")]


def test_a_superseded_point_release_is_just_a_version_between_others() -> None:
    """Lists of fixed versions accuse every version that is not on them; 10+deb12u16 is newer than the fix."""
    assert answer([installed("curl", "7.88.1-10+deb12u16~local1")], CURL).findings == ()


def test_the_epoch_is_part_of_the_version() -> None:
    row = Advisory("openssh", "CVE-2025-3", "1:9.2p1-2+deb12u5")
    assert pairs(answer([installed("openssh-server", "1:9.2p1-2", "openssh")], row)) == [
        ("openssh-server", "CVE-2025-3")
    ]
    assert answer([installed("openssh-server", "1:9.2p1-2+deb12u5", "openssh")], row).findings == ()
    assert answer([installed("openssh-server", "2:1.0-1", "openssh")], row).findings == ()


def test_a_third_party_package_is_not_assessed_with_the_reason() -> None:
    row = Advisory("nodejs", "CVE-2025-4", "99-1")
    found = answer([installed("nodejs", "20.20.2-1nodesource1", origin="nodesource")], row)
    assert found.findings == ()
    assert [(n.package, n.code) for n in found.not_assessed] == [("nodejs", "third_party")]
    assert "nodesource" in found.not_assessed[0].reason
    assert found.assessed == 0


@pytest.mark.parametrize("origin", ["Debian", "Debian-Security", ""])
def test_vendor_packages_and_versions_that_left_the_repositories_are_assessed(origin: str) -> None:
    """A superseded version is in no repository any more: just then it must not fall silent."""
    assert pairs(answer([installed("curl", "7.88.1-10", origin=origin)], CURL)) == [("curl", "CVE-2025-1")]


@pytest.mark.parametrize(
    "item",
    [installed("curl", "8.5-1~bpo12+1"), installed("curl", "8.5-1", origin="Debian Backports")],
    ids=["by version", "by origin"],
)
def test_backports_are_another_line(item: Installed) -> None:
    found = answer([item], CURL)
    assert (found.findings, found.not_assessed[0].code) == ((), "other_lineage")


def test_removed_packages_with_configuration_left_are_not_installed() -> None:
    found = answer([installed("curl", "7.88.1-10", state="rc")], CURL)
    assert (found.findings, found.packages) == ((), 0)


@pytest.mark.parametrize("state", ["ii", "hi", "iF", "iHR", "iU", "iW"])
def test_held_and_broken_packages_have_files_on_disk(state: str) -> None:
    assert pairs(answer([installed("curl", "7.88.1-10", state=state)], CURL)) == [("curl", "CVE-2025-1")]


KERNEL = Advisory("linux", "CVE-2025-5", "6.1.153-1")
OLD_IMAGE = installed("linux-image-6.1.0-39-amd64", "6.1.148-1", "linux-signed-amd64", "6.1.148+1")
NEW_IMAGE = installed("linux-image-6.1.0-40-amd64", "6.1.153-1", "linux-signed-amd64", "6.1.153+1")
HEADERS = installed("linux-libc-dev", "6.1.148-1", "linux")
META = installed("linux-image-amd64", "6.1.148-1", "linux-signed-amd64", "6.1.148+1")


def roles(items: list[Installed], kernel: str) -> dict[str, str]:
    return {f.package: f.role for f in answer(items, KERNEL, kernel=kernel).findings}


def test_signed_kernels_are_judged_as_the_source_that_was_signed() -> None:
    """Else linux-image is missed while linux-libc-dev is shown."""
    assert roles([OLD_IMAGE, HEADERS], "6.1.0-39-amd64") == {
        "linux-image-6.1.0-39-amd64": "active", "linux-libc-dev": "carrier",
    }  # fmt: skip


def test_the_kernel_is_the_running_one() -> None:
    items = [OLD_IMAGE, NEW_IMAGE, HEADERS, META]
    carriers = {"linux-image-amd64": "carrier", "linux-libc-dev": "carrier"}
    assert roles(items, "6.1.0-40-amd64") == {"linux-image-6.1.0-39-amd64": "carrier", **carriers}
    assert roles(items, "6.1.0-39-amd64") == {"linux-image-6.1.0-39-amd64": "active", **carriers}


def test_an_unknown_running_kernel_accuses_every_image_rather_than_none() -> None:
    assert roles([OLD_IMAGE], "")["linux-image-6.1.0-39-amd64"] == "active"


def test_a_running_kernel_of_no_package_is_said() -> None:
    found = answer([OLD_IMAGE], KERNEL, kernel="6.6.99-custom")
    assert [n.code for n in found.not_assessed] == ["running_kernel_unknown"]


@pytest.mark.parametrize(
    ("source", "source_version", "version", "judged"),
    [
        ("linux-signed-amd64", "6.1.153+1", "6.1.153-1", ("linux", "6.1.153-1")),
        ("linux-signed-arm64", "6.12.38+1~bpo12+1", "", None),  # a backport
        ("grub-efi-amd64-signed", "1+2.06+13+deb12u1", "1+2.06+13+deb12u1", ("grub2", "2.06-13+deb12u1")),
        ("shim-signed", "1.44~1+deb12u1", "1.44~1+deb12u1+15.8-1~deb12u1", ("shim", "15.8-1~deb12u1")),
        ("shim-helpers-amd64-signed", "1+15.8+1~deb12u1", "1+15.8+1~deb12u1", ("shim", "15.8-1~deb12u1")),
        ("fwupd-amd64-signed", "1:1.4+1", "1:1.4+1", ("fwupd-efi", "1:1.4-1")),
    ],
)
def test_signed_sources(source: str, source_version: str, version: str, judged: tuple[str, str] | None) -> None:
    rows = [Advisory(name, "CVE-2025-6", "99:1") for name in ("linux", "grub2", "shim", "fwupd-efi")]
    found = answer([installed("x", version or source_version, source, source_version)], *rows)
    assert [(f.source, f.source_version) for f in found.findings] == ([judged] if judged else [])
    assert len(found.not_assessed) == (0 if judged else 1)


def test_a_signed_source_that_is_not_known_is_not_assessed_rather_than_clean() -> None:
    found = answer([installed("x", "1+1", "newthing-amd64-signed", "1+1")], CURL)
    assert [n.code for n in found.not_assessed] == ["unmapped_source"]


def test_documents_carry_but_do_not_run() -> None:
    items = [installed("curl-doc", "7.88.1-10", "curl"), installed("curl", "7.88.1-10")]
    assert [f.role for f in answer(items, CURL).findings] == ["active", "carrier"]


def test_another_release_is_not_assessed_rather_than_clean() -> None:
    found = answer([installed("curl", "7.88.1-10")], CURL, release="debian:13")
    assert (found.findings, found.assessed) == ((), 0)
    assert found.not_assessed[0].code == "no_data"


def test_a_version_that_is_none_is_not_assessed() -> None:
    found = answer([installed("curl", "seven point eight")], CURL)
    assert found.not_assessed[0].code == "bad_version"


def test_states_and_intervals() -> None:
    rows = [
        Advisory("nginx", "CVE-1", "1.22.1-9+deb12u2", introduced="1.20-1"),
        Advisory("nginx", "CVE-2", "", state="open"),
        Advisory("nginx", "CVE-3", "99", state="not_affected"),
        Advisory("nginx", "CVE-4", "99", state="withdrawn"),
    ]
    assert pairs(answer([installed("nginx", "1.18-1")], *rows)) == [("nginx", "CVE-2")]
    assert pairs(answer([installed("nginx", "1.20-1")], *rows)) == [("nginx", "CVE-1"), ("nginx", "CVE-2")]
    assert pairs(answer([installed("nginx", "1.22.1-9+deb12u2")], *rows)) == [("nginx", "CVE-2")]


def test_known_exploited_is_marked() -> None:
    book = Book([CURL], frozenset({"CVE-2025-1"}))
    assert [f.kev for f in assess([installed("curl", "7.88.1-10")], book, DEBIAN).findings] == [True]


numbers = st.integers(0, 9)
fixes = st.lists(st.tuples(numbers, numbers, st.sampled_from(["", "~", "+deb12u1"])), max_size=12)


@given(fixes, numbers, numbers)
def test_the_bisect_answers_as_asking_every_row_does(fixed: list[tuple[int, int, str]], major: int, minor: int) -> None:
    rows = [Advisory("s", f"CVE-{i:03}", f"{a}.{b}{tail}-1") for i, (a, b, tail) in enumerate(fixed)]
    version = f"{major}.{minor}-1"
    expected = [row.cve for row in rows if deb_key(version) < deb_key(row.fixed)]
    assert [f.cve for f in answer([installed("s", version)], *rows).findings] == expected
