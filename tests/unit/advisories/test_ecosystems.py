"""One name for each ecosystem, whoever writes it, and the order that belongs to it."""

from __future__ import annotations

import pytest

from brakeline.advisories.ecosystems import canonical, key_of, name_of, order_of, stored_key
from brakeline.core.debversion import BadVersion


@pytest.mark.parametrize(
    ("written", "name", "order"),
    [
        ("debian:12", "debian:12", "deb"), ("Debian:12", "debian:12", "deb"),
        ("Ubuntu:22.04:LTS", "ubuntu:22.04", "deb"),
        ("almalinux:9.4", "almalinux:9", "rpm"), ("AlmaLinux:9", "almalinux:9", "rpm"),
        ("Rocky Linux:8", "rocky:8", "rpm"), ("rocky-linux:9.4", "rocky:9", "rpm"),
        ("Red Hat:openshift:4.12::el8", "rhel:openshift:4.12::el8", "rpm"),
        ("SUSE:Linux Enterprise Server 15 SP5", "sles:15.5", "rpm"), ("sles:15.5", "sles:15.5", "rpm"),
        ("SUSE:Linux Enterprise Module for Basesystem 15 SP5", "sles:15.5", "rpm"),
        ("SUSE:Linux Enterprise Micro 5.1", "suse:linux enterprise micro 5.1", "rpm"),
        ("Red Hat:enterprise_linux:9::appstream", "rhel:9", "rpm"), ("centos:8.5", "centos:8", "rpm"),
        ("openSUSE:Leap 15.5", "opensuse-leap:15.5", "rpm"), ("opensuse-leap:15.5", "opensuse-leap:15.5", "rpm"),
        ("Alpine:v3.19", "alpine:3.19", "apk"), ("alpine:3.19.1", "alpine:3.19", "apk"), ("arch:", "arch", "alpm"),
        ("Arch Linux", "arch", "alpm"), ("PyPI", "pypi", "pypi"), ("npm", "npm", "npm"), ("Go", "golang", "golang"),
        ("crates.io", "crates.io", "semver"), ("Maven:somewhere", "maven", "maven"), ("NuGet", "nuget", "nuget"),
        ("winget", "winget", "winget"), ("Hex", "hex", "semver"), ("RubyGems", "rubygems", "rubygems"),
        ("Packagist", "packagist", ""), ("windows:10.0", "windows:10.0", ""),
    ],
)  # fmt: skip
def test_names_and_orders(written: str, name: str, order: str) -> None:
    assert (canonical(written), order_of(written)) == (name, order)
    assert canonical(name) == name
    assert (key_of(written) is None) is (order == "")


def test_names_of_packages_are_spelt_once() -> None:
    assert name_of("pypi", "Foo._Bar") == "foo-bar"
    assert name_of("nuget", "Newtonsoft.Json") == "newtonsoft.json"
    assert name_of("golang", "github.com/A/b") == "github.com/A/b"


@pytest.mark.parametrize("ecosystem", ["arch", "maven"])
def test_orders_without_keys_compare_by_pairs_and_are_not_stored(ecosystem: str) -> None:
    key = key_of(ecosystem)
    assert key is not None
    assert key("1.0-1") < key("1.1-1")
    assert stored_key(ecosystem, "1.0-1") is None
    with pytest.raises(BadVersion):
        key("1" * 600)


def test_what_is_stored_is_the_key() -> None:
    assert stored_key("debian:12", "") is None
    assert isinstance(stored_key("pypi", "1.0"), bytes)
