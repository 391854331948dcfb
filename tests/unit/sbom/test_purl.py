"""Package URLs: each ecosystem's own form, back to the same package, and what a statement about one means."""

from __future__ import annotations

import pytest

from brakeline.advisories.ecosystems import canonical
from brakeline.advisories.osv import purl as purls
from brakeline.protocol.managers import found_label
from brakeline.protocol.messages import Package
from brakeline.sbom.purl import means, of_package


def found(ecosystem: str, name: str, version: str) -> Package:
    return Package(name, found_label(ecosystem, "/x"), version, name, version, ecosystem=ecosystem, where="/x")


@pytest.mark.parametrize(
    ("package", "release", "url"),
    [
        (Package("libssl3", "amd64", "3.0.15-1~deb12u1+b1", "openssl", "3.0.15-1~deb12u1"), "debian:12",
         "pkg:deb/debian/libssl3@3.0.15-1~deb12u1%2Bb1?arch=amd64&distro=debian-12&upstream=openssl%403.0.15-1~deb12u1"),
        (Package("bash", "amd64", "1:5.2-2", "bash", "1:5.2-2"), "debian:12",
         "pkg:deb/debian/bash@1%3A5.2-2?arch=amd64&distro=debian-12"),
        (Package("nodejs", "x86_64", "1:18.1-2.el9", "nodejs", "1:18.1-2.el9", ecosystem="rpm", module="nodejs:18"),
         "almalinux:9.4",
         "pkg:rpm/almalinux/nodejs@18.1-2.el9?arch=x86_64&distro=almalinux-9.4&epoch=1"
         "&rpmmod=nodejs%3A18"),
        (found("alpine:3.19.1", "busybox", "1.36.1-r15"), "debian:12",
         "pkg:apk/alpine/busybox@1.36.1-r15?distro=alpine-3.19.1"),
        (found("pypi", "Foo_Bar", "1.0"), "debian:12", "pkg:pypi/foo-bar@1.0"),
        (found("npm", "@demo/tool", "4.5.6"), "debian:12", "pkg:npm/%40demo/tool@4.5.6"),
        (found("maven", "org.slf4j:slf4j-api", "1.7"), "debian:12", "pkg:maven/org.slf4j/slf4j-api@1.7"),
        (found("golang", "golang.org/x/net", "v0.7.0"), "debian:12", "pkg:golang/golang.org/x/net@v0.7.0"),
        (found("golang", "stdlib", "1.19.8"), "debian:12", "pkg:golang/stdlib@1.19.8"),
        (found("rubygems", "rake", "13.0.6"), "debian:12", "pkg:gem/rake@13.0.6"),
        (found("crates.io", "smallvec", "1.6.0"), "debian:12", "pkg:cargo/smallvec@1.6.0"),
    ],
)  # fmt: skip
def test_a_package_url_leads_back_to_the_package(package: Package, release: str, url: str) -> None:
    assert of_package(package, release) == url
    back = purls.package(url)
    system = package.ecosystem in ("deb", "rpm")
    assert canonical(back.ecosystem) == canonical(release if system else package.ecosystem)
    assert back.version == package.version
    assert back.module == package.module


def test_what_no_type_exists_for_has_no_url() -> None:
    assert of_package(found("fwupd", "x", "1"), "debian:12") == ""


@pytest.mark.parametrize(
    ("product", "component", "is_meant"),
    [
        ("pkg:pypi/jinja2@3.1.2", "pkg:pypi/jinja2@3.1.2", True),
        ("pkg:pypi/jinja2", "pkg:pypi/jinja2@3.1.2", True),
        ("pkg:pypi/jinja2@3.1.3", "pkg:pypi/jinja2@3.1.2", False),
        ("pkg:pypi/jinja", "pkg:pypi/jinja2@3.1.2", False),
        ("pkg:npm/%40demo/tool", "pkg:npm/%40demo/tool@4.5.6", True),
        ("pkg:deb/debian/openssl@3", "pkg:deb/debian/openssl@3?arch=amd64", True),
        ("pkg:deb/debian/openssl@3?arch=arm64", "pkg:deb/debian/openssl@3?arch=amd64", False),
        ("", "pkg:pypi/jinja2@3.1.2", False),
    ],
)
def test_a_statement_means_what_it_names_and_no_more(product: str, component: str, is_meant: bool) -> None:
    assert means(product, component) is is_meant
