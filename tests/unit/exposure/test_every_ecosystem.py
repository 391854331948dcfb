"""The matcher beyond Debian: each test is named after the false alarm, or the miss, that its rule avoids."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.advisories.model import Advisory
from brakeline.advisories.osv.model import Span
from brakeline.exposure.closing import closing
from brakeline.exposure.match import Book, assess
from brakeline.exposure.model import DISMISSED_SHOWN, Assessment, Dismissed, FindingState, Installed, Role, Unit, told
from brakeline.exposure.offers import Offered, candidate_key, offers, state_of
from brakeline.protocol.messages import PendingUpdate, UpdateState

ALMA = "almalinux:9"


def row(ecosystem: str, source: str, fixed: str = "", cve: str = "CVE-1", **more: str) -> Advisory:
    return Advisory(source, cve, fixed, ecosystem=ecosystem, **more)  # type: ignore[arg-type]


def item(package: str, version: str, ecosystem: str = "", **more: str) -> Installed:
    source, source_version = more.pop("source", package), more.pop("source_version", version)
    return Installed(package, source, source_version, version, ecosystem=ecosystem, **more)


def answer(items: list[Installed], rows: list[Advisory], release: str, kernel: str = "") -> Assessment:
    return assess(items, Book(rows), release, kernel)


def cves(found: Assessment) -> list[str]:
    return [f.cve for f in found.findings]


@pytest.mark.parametrize(
    ("release", "ecosystem", "old", "fixed"),
    [
        ("debian:12", "", "1.0~rc1-1", "1.0-1"), ("almalinux:9", "", "1.0~rc1-1.el9", "1.0-1.el9"),
        ("alpine:3.19", "", "1.0_rc1-r0", "1.0-r0"), ("arch", "", "1.0rc1-1", "1.0-1"),
        ("debian:12", "pypi", "1.0rc1", "1.0"), ("debian:12", "npm", "1.0.0-rc.1", "1.0.0"),
        ("debian:12", "golang", "v1.0.0-rc.1", "1.0.0"), ("debian:12", "maven", "1.0-rc1", "1.0"),
        ("debian:12", "nuget", "1.0.0-RC1", "1.0.0"), ("debian:12", "crates.io", "1.0.0-rc.1", "1.0.0"),
        ("debian:12", "winget", "1.0-beta", "1.0"),
    ],
)  # fmt: skip
def test_a_candidate_of_a_release_is_before_it_in_every_order(
    release: str, ecosystem: str, old: str, fixed: str
) -> None:
    rows = [row(ecosystem or release, "thing", fixed)]
    assert cves(answer([item("thing", old, ecosystem)], rows, release)) == ["CVE-1"]
    closed = answer([item("thing", fixed, ecosystem)], rows, release)
    assert (closed.findings, closed.assessed) == ((), 1)


@pytest.mark.parametrize("ecosystem", ["pypi", "maven", "arch"])
def test_several_intervals_a_branch_that_was_fixed_is_not_accused_by_another(ecosystem: str) -> None:
    rows = [
        row(ecosystem, "django", "3.2.5-1", introduced="3.2-1"),
        row(ecosystem, "django", "4.0.2-1", introduced="4.0-1"),
    ]
    expected = {"3.1-1": 0, "3.2-1": 1, "3.2.4-1": 1, "3.2.5-1": 0, "3.9-1": 0, "4.0-1": 1, "4.0.1-1": 1, "4.0.2-1": 0}
    for version, count in expected.items():
        found = answer([item("django", version, "" if ecosystem == "arch" else ecosystem)], rows, "arch")
        assert len(found.findings) == count, version


def test_the_last_affected_version_is_affected_and_the_next_is_not() -> None:
    rows = [row("npm", "lib", introduced="1.0.0", last_affected="1.4.0", state="open")]
    affected = {v: bool(answer([item("lib", v, "npm")], rows, "arch").findings)
                for v in ("0.9.0", "1.0.0", "1.4.0", "1.4.1")}  # fmt: skip
    assert affected == {"0.9.0": False, "1.0.0": True, "1.4.0": True, "1.4.1": False}


def test_egg_info_inside_a_deb_is_the_deb() -> None:
    """A deb's egg-info counted as a PyPI package accuses what the distribution has patched."""
    rows = [row("pypi", "pyyaml", "6.0.1"), row("debian:12", "pyyaml", "5.0-1")]
    items = [
        item("python3-yaml", "6.0-3+deb12u1", source="pyyaml"),
        item("PyYAML", "6.0", "pypi", owner="python3-yaml"),
    ]
    found = answer(items, rows, "debian:12")
    assert found.findings == ()
    assert [(n.package, n.code) for n in found.not_assessed] == [("PyYAML", "owned")]
    assert "python3-yaml" in found.not_assessed[0].reason


def test_egg_info_of_nobody_is_judged_by_the_registry_whatever_its_spelling() -> None:
    found = answer([item("PyYAML", "5.3", "pypi")], [row("PyPI", "pyyaml", "5.4")], "debian:12")
    assert [(f.cve, f.ecosystem) for f in found.findings] == [("CVE-1", "pypi")]


def test_a_namesake_of_another_ecosystem_is_not_accused() -> None:
    rows = [row("pypi", "requests", "99"), row("debian:12", "other", "1")]
    assert answer([item("requests", "2.0-1")], rows, "debian:12").findings == ()


@pytest.mark.parametrize(("ecosystem", "origin"), [("pypi", "pip"), ("pypi", "PyPI"), ("pypi", ""), ("npm", "npm")])
def test_what_pip_and_npm_have_installed_is_judged_by_the_registry(ecosystem: str, origin: str) -> None:
    found = answer([item("lib", "1.0.0", ecosystem, origin=origin)], [row(ecosystem, "lib", "2.0.0")], "debian:12")
    assert cves(found) == ["CVE-1"]


def test_packages_of_a_container_image_are_judged_by_their_own_release() -> None:
    rows = [row("debian:12", "curl", "2.0-1"), row("alpine:3.20", "curl", "8.9.1-r1"), row(ALMA, "curl", "9-1")]
    items = [item("curl", "1.9-1", "debian:12"), item("curl", "8.9.0-r0", "alpine:3.20"), item("curl", "9-1")]
    found = answer(items, rows, ALMA)
    assert [(f.ecosystem, f.fixed) for f in found.findings] == [("debian:12", "2.0-1"), ("alpine:3.20", "8.9.1-r1")]


def test_a_private_registry_s_namesake_is_third_party() -> None:
    found = answer([item("internal", "1.0", "pypi", origin="our-index")], [row("pypi", "internal", "9")], "debian:12")
    assert ([*found.findings], found.not_assessed[0].code) == ([], "third_party")


@pytest.mark.parametrize("origin", ["COPR", "EPEL", "Remi"])
def test_a_vendor_s_rows_do_not_speak_of_third_party_rpms(origin: str) -> None:
    found = answer([item("php", "8.1-1.el9", origin=origin)], [row(ALMA, "php", "8.2-1.el9")], ALMA)
    assert (found.findings, found.not_assessed[0].code) == ((), "third_party")


@pytest.mark.parametrize("origin", ["", "baseos", "appstream", "anaconda", "AlmaLinux"])
def test_the_vendor_s_repositories_are_the_vendor(origin: str) -> None:
    """dnf tells a repository's id; taking it for a third party's would leave the whole system unjudged."""
    found = answer([item("php", "8.1-1.el9", origin=origin)], [row(ALMA, "php", "8.2-1.el9")], ALMA)
    assert cves(found) == ["CVE-1"]


def test_the_epoch_of_an_rpm_is_part_of_its_version() -> None:
    """Lost epochs accused every package that has one."""
    rows = [row(ALMA, "bind", "32:9.16.23-1.el9")]
    assert cves(answer([item("bind", "32:9.16.22-9.el9")], rows, ALMA)) == ["CVE-1"]
    assert answer([item("bind", "32:9.16.23-1.el9")], rows, ALMA).findings == ()
    assert answer([item("bind", "33:1.0-1.el9")], rows, ALMA).findings == ()


def test_almalinux_is_asked_by_major_release() -> None:
    """Asked as 9.4 it answers nothing, which looks like calm."""
    rows = [row("AlmaLinux:9", "curl", "7.76.1-29.el9")]
    assert cves(answer([item("curl", "7.76.1-26.el9")], rows, "almalinux:9.4")) == ["CVE-1"]
    assert answer([item("curl", "7.76.1-26.el8")], rows, "almalinux:8.10").not_assessed[0].code == "no_data"


def test_almalinux_names_binary_packages() -> None:
    rows = [row(ALMA, "curl-minimal", "2-1.el9")]
    found = answer([item("curl-minimal", "1-1.el9", source="curl", source_version="1-1.el9"),
                    item("libcurl", "1-1.el9", source="curl", source_version="1-1.el9")], rows, ALMA)  # fmt: skip
    assert [f.package for f in found.findings] == ["curl-minimal"]


NODE_18 = row(ALMA, "nodejs", "1:18.20.4-1.module_el9.4.0+109+ab", "CVE-18", id="ALSA-18")
NODE_20 = row(ALMA, "nodejs", "1:20.16.0-1.module_el9.4.0+111+cd", "CVE-20", id="ALSA-20")
PLAIN = row(ALMA, "nodejs", "1:16.20.2-8.el9", "CVE-16", id="ALSA-16")


@pytest.mark.parametrize("module", ["", "nodejs:18:9040020240807131341:rhel9"])
def test_a_fix_of_another_module_stream_accuses_nobody(module: str) -> None:
    rows = [NODE_18, NODE_20, PLAIN]
    old = item("nodejs", "1:18.19.0-1.module_el9.3.0+90+aa", module=module)
    new = item("nodejs", "1:18.20.4-1.module_el9.4.0+109+ab", module=module)
    assert cves(answer([old], rows, ALMA)) == ["CVE-18"]
    assert answer([new], rows, ALMA).findings == ()
    assert cves(answer([item("nodejs", "1:16.20.1-1.el9")], rows, ALMA)) == ["CVE-16"]


def test_rows_that_name_their_stream_are_held_to_it() -> None:
    rows = [NODE_18._replace(module="nodejs:18"), NODE_20._replace(module="nodejs:20")]
    for stream, found in (("nodejs:18:1:x", ["CVE-18"]), ("nodejs:20:1:x", ["CVE-20"]), ("nodejs:22:1:x", [])):
        assert cves(answer([item("nodejs", "1:18.0.0-1.module_el9", module=stream)], rows, ALMA)) == found


def test_one_of_an_advisory_s_builds_is_enough() -> None:
    """One build for each minor release: the newest must not accuse who has the build of an older one."""
    builds = [row(ALMA, "umount", f"2:2.3.4-2.module_el8.{n}.0+{n}", "CVE-9", id="ALSA-9") for n in (5, 4, 3)]
    assert answer([item("umount", "2:2.3.4-2.module_el8.4.0+4")], builds, ALMA).findings == ()
    assert len(answer([item("umount", "2:2.3.4-1.module_el8.4.0+4")], builds, ALMA).findings) == 1


def test_several_intervals_of_a_registry_s_advisory_are_not_builds() -> None:
    """A version without a fix in one of them is vulnerable, whatever another one says is fixed."""
    rows = [row("golang", "x", "1.2.0", id="GO-1"), row("golang", "x", "1.5.0", id="GO-1")]
    assert [f.fixed for f in answer([item("x", "1.3.0", "golang")], rows, "arch").findings] == ["1.5.0"]


def test_a_cve_with_two_advisories_is_closed_by_the_later_fix_and_told_once() -> None:
    rows = [row(ALMA, "x", "2-1", id="ALSA-1"), row(ALMA, "x", "3-1", id="ALSA-2")]
    assert [f.fixed for f in answer([item("x", "1-1")], rows, ALMA).findings] == ["3-1"]
    assert [f.fixed for f in answer([item("x", "2-1")], rows, ALMA).findings] == ["3-1"]


@pytest.mark.parametrize(
    ("release", "image", "other", "headers", "kernel"),
    [
        (ALMA, item("kernel-core", "5.14.0-427.el9", architecture="x86_64", source="kernel"),
         item("kernel-core", "5.14.0-362.el9", architecture="x86_64", source="kernel"),
         item("kernel-headers", "5.14.0-427.el9", architecture="x86_64", source="kernel"), "5.14.0-427.el9.x86_64"),
        ("opensuse-leap:15.6", item("kernel-default", "6.4.0-150600.23.7.1"),
         item("kernel-default", "6.4.0-150600.21.3"),
         item("kernel-devel", "6.4.0-150600.23.7.1", source="kernel-default"), "6.4.0-150600.23.7-default"),
        ("alpine:3.19", item("linux-lts", "6.6.31-r0"), item("linux-lts", "6.6.30-r0"),
         item("linux-lts-dev", "6.6.31-r0", source="linux-lts"), "6.6.31-0-lts"),
        ("arch", item("linux", "6.9.1.arch1-1"), item("linux", "6.9.0.arch1-1"),
         item("linux-headers", "6.9.1.arch1-1", source="linux"), "6.9.1-arch1-1"),
        ("arch", item("linux-lts", "6.6.32-1"), item("linux-lts", "6.6.31-1"),
         item("linux-lts-headers", "6.6.32-1", source="linux-lts"), "6.6.32-1-lts"),
    ],
)  # fmt: skip
def test_the_kernel_is_the_running_one_and_headers_do_not_run(
    release: str, image: Installed, other: Installed, headers: Installed, kernel: str
) -> None:
    rows = [row(release, name, "99") for name in {image.package, headers.package, image.source}]
    by_role = {(f.package, f.version): f.role for f in answer([image, other, headers], rows, release, kernel).findings}
    assert by_role == {
        (image.package, image.version): "active", (other.package, other.version): "carrier",
        (headers.package, headers.version): "carrier",
    }  # fmt: skip
    alone = answer([other], rows, release, kernel)
    if release.startswith("opensuse"):  # `uname -r` leaves out the rebuild
        assert [n.code for n in alone.not_assessed] == ["running_kernel_unknown"]
    else:
        assert {(f.version, f.role) for f in alone.findings} == {(image.version, "active"), (other.version, "carrier")}


def test_a_kernel_that_was_replaced_in_place_is_judged_by_what_it_says_of_itself() -> None:
    """The package is at the fix, the machine runs what was there before: that is open until it restarts."""
    rows = [row("arch", "linux", "6.9.1.arch1-1")]
    items = [item("linux", "6.9.1.arch1-1")]
    assert [(f.version, f.role) for f in answer(items, rows, "arch", "6.9.0-arch1-1").findings] == [
        ("6.9.0.arch1-1", "active")
    ]
    assert answer(items, rows, "arch", "6.9.1-arch1-1").findings == ()
    for strange in ("6.9.0", "x", "-", "6.9.0-arch1-1-zen", "a" * 500, "6.8.0-xanmod"):
        found = answer(items, rows, "arch", strange)
        assert found.findings or [n.code for n in found.not_assessed] == ["running_kernel_unknown"], strange


def test_an_update_of_a_kernel_closes_what_stands_open_in_the_running_one() -> None:
    book = Book([row("arch", "linux", "6.9.1.arch1-1")])
    inventories = {"e": ([item("linux", "6.9.0.arch1-1")], "arch", "6.9.0-arch1-1")}
    found = closing(inventories, {"e": {"linux": "6.9.1.arch1-1"}}, book)
    assert (found.before, found.after, found.by_update) == (1, 0, {"linux": 1})
    assert closing(inventories, {"e": {"linux": "6.9.0.arch1-2"}}, book).after == 1


def test_a_book_takes_over_what_says_the_same_and_works_out_the_rest() -> None:
    first = Book([row("npm", "a", "2.0.0"), row("npm", "b", "2.0.0")], spans=[Span("npm", "c", "X", fixed="2.0.0")])
    units = [Unit("npm", name, "1.0.0") for name in "abcd"]
    assert [len(first.open_rows(u)) for u in units] == [1, 1, 1, 0]
    second = Book([row("npm", "a", "2.0.0"), row("npm", "b", "0.5.0"), row("npm", "d", "2.0.0")],
                  spans=[Span("npm", "c", "X", fixed="2.0.0")])  # fmt: skip
    assert second.keep(first) == {("npm", "b"), ("npm", "d")}
    assert [len(second.open_rows(u)) for u in units] == [1, 0, 1, 1]
    assert second.shelf("npm", "c") is first.shelf("npm", "c")


def test_withdrawn_advisories_accuse_nobody_and_are_told() -> None:
    rows = [row("pypi", "x", "2", id="GHSA-1"),
            row("pypi", "x", "2", id="GHSA-1", state="withdrawn", reason="a mistake"),
            row("pypi", "x", "2", "CVE-2", id="GHSA-2")]  # fmt: skip
    found = answer([item("x", "1", "pypi")], rows, "arch")
    assert cves(found) == ["CVE-2"]
    assert {(d.cve, d.code, d.reason) for d in found.dismissed} == {("CVE-1", "withdrawn", "a mistake")}


def test_not_affected_is_told_with_the_vendor_s_reason() -> None:
    rows = [row("debian:12", "x", state="not_affected", reason="vulnerable code not built")]
    found = answer([item("x", "1-1")], rows, "debian:12")
    assert ([*found.findings], [(d.package, d.code, d.reason) for d in found.dismissed]) == (
        [], [("x", "not_affected", "vulnerable code not built")],
    )  # fmt: skip


def test_a_corrected_range_takes_the_place_of_the_wrong_one() -> None:
    wrong, right = row("npm", "x", "9.0.0"), row("npm", "x", "2.0.0")
    assert cves(answer([item("x", "3.0.0", "npm")], [wrong], "arch")) == ["CVE-1"]
    assert answer([item("x", "3.0.0", "npm")], [right], "arch").findings == ()


def test_a_row_that_cannot_be_read_silences_no_other_row() -> None:
    rows = [row("pypi", "x", "not a version"), row("pypi", "x", "2", "CVE-2")]
    found = answer([item("x", "1", "pypi")], rows, "arch")
    assert (cves(found), [d.code for d in found.dismissed]) == (["CVE-2"], ["unreadable"])


def test_an_order_that_nobody_knows_is_not_assessed_rather_than_clean() -> None:
    found = answer([item("plug", "1.0", "packagist")], [row("packagist", "plug", "2.0")], "debian:12")
    assert (found.findings, [n.code for n in found.not_assessed]) == ((), ["no_order"])


def test_a_deb_on_a_system_of_rpms_is_of_another_manager() -> None:
    found = answer([item("curl", "1-1", "deb")], [row(ALMA, "curl", "2-1")], ALMA)
    assert (found.findings, [n.code for n in found.not_assessed]) == ((), ["other_manager"])


@pytest.mark.parametrize("ecosystem", ["", "pypi", "npm", "golang", "maven", "nuget", "winget", "crates.io"])
@pytest.mark.parametrize("version", ["1." + "9" * 300, "\ud800", "1" * 600, "\x00", "1.0\n"])
def test_a_version_that_is_none_never_raises(ecosystem: str, version: str) -> None:
    for release in ("debian:12", ALMA, "alpine:3.19", "arch"):
        found = answer([item("x", version, ecosystem)], [row(ecosystem or release, "x", "2.0.0")], release)
        assert found.packages == 1
        assert not found.findings or found.not_assessed == ()


@given(
    st.text(max_size=30), st.sampled_from(["debian:12", ALMA, "alpine:3.19", "arch", "pypi", "npm", "maven", "nuget"])
)
def test_whatever_a_version_says_it_is_judged_or_refused(version: str, ecosystem: str) -> None:
    own = "" if ":" in ecosystem or ecosystem == "arch" else ecosystem
    release = "debian:12" if own else ecosystem
    rows = [row(ecosystem, "x", "2.0.0", "CVE-1"), row(ecosystem, "x", "4.0.0", "CVE-2", introduced="3.0.0")]
    found = answer([item("x", version, own)], rows, release)
    assert found.packages == 1


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 4)), max_size=8), st.integers(0, 9))
def test_intervals_answer_as_the_plain_rule_does_in_an_order_with_keys_and_in_one_without(
    spans: list[tuple[int, int]], version: int
) -> None:
    expected = [f"CVE-{n:03}" for n, (a, length) in enumerate(spans) if a <= version < a + length]
    for ecosystem in ("npm", "maven"):
        rows = [row(ecosystem, "x", f"{a + length}.0.0", f"CVE-{n:03}", introduced=f"{a}.0.0" if a else "")
                for n, (a, length) in enumerate(spans)]  # fmt: skip
        assert cves(answer([item("x", f"{version}.0.0", ecosystem)], rows, "arch")) == expected


def test_postponed_by_the_vendor_is_a_state_of_its_own() -> None:
    assert state_of(row("debian:12", "x", state="deferred"), None, True) is FindingState.DEFERRED
    assert state_of(row("debian:12", "x", state="open"), None, True) is FindingState.NO_FIX


def test_an_offer_is_compared_in_the_order_of_its_ecosystem() -> None:
    """1.0rc is before 1.0 for Arch; by dpkg's rule it would be after it and look fixed."""
    fix = row("arch", "x", "1.0-1")
    for candidate, state in (("1.0rc-1", FindingState.NOT_OFFERED), ("1.0-1", FindingState.FIXABLE)):
        offered = Offered(candidate_key(item("x", "0.9-1"), candidate, "arch"), FindingState.FIXABLE)
        assert state_of(fix, offered, True) is state
    last = row("arch", "x", last_affected="1.0-1", state="open")
    beyond = Offered(candidate_key(item("x", "0.9-1"), "1.0-2", "arch"), FindingState.FIXABLE)
    assert state_of(last, beyond, True) is FindingState.FIXABLE
    assert state_of(last, None, True) is FindingState.NO_FIX


def test_the_best_offer_of_an_order_without_keys() -> None:
    from brakeline.exposure.match import judge

    items = [item("a", "1-1", source="s"), item("b", "1-1", source="s")]
    pending = [
        PendingUpdate(p, "", "1-1", v, "core", False, UpdateState.AVAILABLE) for p, v in (("a", "2-1"), ("b", "3-1"))
    ]
    found = offers(judge(items, Book([row("arch", "s", "9-1")]), "arch")[0], pending)
    assert state_of(row("arch", "s", "3-1"), found["arch", "s", Role.ACTIVE], True) is FindingState.FIXABLE


def test_that_a_registry_lacks_a_fix_is_not_claimed_from_the_system_s_package_lists() -> None:
    assert state_of(row("pypi", "x", "2.0"), None, True) is FindingState.UNKNOWN
    assert state_of(row(ALMA, "x", "2.0-1"), None, True) is FindingState.NOT_OFFERED


def test_of_thousands_that_make_no_finding_the_unreadable_are_told_first() -> None:
    many = [Dismissed("x", "x", f"CVE-{n}", "not_affected", "") for n in range(3000)]
    shown, counts = told([*many, Dismissed("y", "y", "CVE-9999", "unreadable", "")])
    assert (shown[0].cve, len(shown)) == ("CVE-9999", DISMISSED_SHOWN)
    assert counts == {"not_affected": 3000, "unreadable": 1}
    assert told([]) == ((), {})
