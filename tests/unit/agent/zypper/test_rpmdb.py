"""rpm's records: lines, sources, several versions of one package, configuration files that were changed."""

from __future__ import annotations

from brakeline.agent.providers.zypper.rpmdb import (
    Installed,
    changed_configuration,
    changes_between,
    doubled,
    packages,
    parse,
    source_of,
    versions,
)

LINE = "@\tlibfoo\tx86_64\t1:1.0-150500.3.1\tfoo-1.0-150500.3.1.src.rpm\tSUSE LLC\t1234\t1700000000\tabcd\n"


def test_a_line_with_an_epoch() -> None:
    (p,) = parse(f"warning: something\n{LINE}")
    assert (p.name, p.architecture, p.version) == ("libfoo", "x86_64", "1:1.0-150500.3.1")
    assert (p.source, p.source_version, p.vendor) == ("foo", "1.0-150500.3.1", "SUSE LLC")
    assert (p.size, p.installed_s, p.identity) == (1234, 1_700_000_000, "abcd")


def test_trusted_keys_are_no_packages_and_none_is_nothing() -> None:
    text = "@\tgpg-pubkey\t(none)\t1-1\t(none)\t(none)\t0\t0\t(none)\n@\tp\tnoarch\t1-1\t(none)\t(none)\t0\t5\t(none)\n"
    (p,) = parse(text)
    assert (p.name, p.source, p.source_version, p.vendor, p.identity) == ("p", "p", "1-1", "", "")


def test_name_of_the_source_may_have_dashes() -> None:
    assert source_of("python-foo-bar-2.1-4.nosrc.rpm") == ("python-foo-bar", "2.1-4")
    assert source_of("") == ("", "")


def test_two_versions_are_a_fault_unless_the_package_is_made_for_it() -> None:
    there = (Installed("k", "noarch", "2-1"), Installed("k", "noarch", "1-1"), Installed("p", "noarch", "10-1"))
    assert versions(there) == {"k:noarch": ("1-1", "2-1"), "p:noarch": ("10-1",)}
    assert doubled(there, frozenset({"k"})) == ()
    assert doubled(there, frozenset()) == ("k: recorded in versions 1-1 and 2-1 at once, from an interrupted run",)


def test_locked_packages_are_told() -> None:
    there = (Installed("p", "noarch", "1-1", vendor="V"), Installed("q", "noarch", "1-1"))
    assert [(p.name, p.state, p.origin, p.ecosystem) for p in packages(there, {"p:noarch": "p*"})] == [
        ("p", "hi", "V", "rpm"),
        ("q", "ii", "", "rpm"),
    ]


def test_changes_are_read_from_both_looks() -> None:
    before = (Installed("p", "noarch", "1-1"), Installed("q", "noarch", "1-1"), Installed("r", "noarch", "1-1"))
    after = (Installed("p", "noarch", "2-1"), Installed("r", "noarch", "1-1"), Installed("s", "noarch", "1-1"))
    assert [(c.name, c.before, c.after, c.state) for c in changes_between(before, after)] == [
        ("p", "1-1", "2-1", "ii"),
        ("q", "1-1", "", ""),
        ("s", "", "1-1", "ii"),
    ]


def test_changed_configuration_counts_and_changed_programs_do_not() -> None:
    text = (
        "S.5....T.  c /etc/p.conf\n.......T.  c /etc/same.conf\nS.5....T.    /usr/bin/p\nmissing   c /etc/gone conf\n"
    )
    assert changed_configuration(text) == ("/etc/p.conf", "/etc/gone conf")
