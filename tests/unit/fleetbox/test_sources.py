"""The machine's own apt sources, in both formats; and the layout of a fleet, which is arithmetic."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools.fleetbox import enrol
from tools.fleetbox.fleet import Wish, checked, plan
from tools.fleetbox.rootfs import Layers
from tools.fleetbox.settings import FleetError, Place, place
from tools.fleetbox.sources import Source, choose, read_deb822, read_one_line, read_sources
from tools.fleetbox.state import EndpointState, FleetState, load, save

from brakeline.server.install import enrol_line

DEB822 = """\
Types: deb
# a comment in the middle
URIs: http://archive.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/archive.gpg

Enabled: no
Types: deb
URIs: http://disabled.test/debian
Suites: bookworm
Components: main

Types: deb-src deb
URIs: https://security.test/debian-security/
Suites: bookworm-security
Components:
 main
 contrib
"""


def test_deb822_with_comments_folded_lines_and_disabled_stanzas() -> None:
    assert tuple(read_deb822(DEB822)) == (
        Source(
            "http://archive.test/debian", ("bookworm", "bookworm-updates"), ("main",), "/usr/share/keyrings/archive.gpg"
        ),
        Source("https://security.test/debian-security", ("bookworm-security",), ("main", "contrib")),
    )


def test_one_line_format_with_options_and_comments() -> None:
    comment = "# deb http://no.test/debian bookworm main\n"
    line = "deb [arch=amd64 signed-by=/k.gpg] http://a.test/debian bookworm main # x\n"
    assert tuple(read_one_line(comment + line)) == (Source("http://a.test/debian", ("bookworm",), ("main",), "/k.gpg"),)


def test_only_web_sources_of_files_that_apt_reads(tmp_path: Path) -> None:
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (parts / "debian.sources").write_text(DEB822)
    (parts / "old.list.disabled").write_text("deb http://ignored.test/debian bookworm main\n")
    (tmp_path / "sources.list").write_text("deb cdrom:[x]/ bookworm main\ndeb file:/srv/r ./\n")
    assert [source.uri for source in read_sources(tmp_path)] == [
        "http://archive.test/debian",
        "https://security.test/debian-security",
    ]


def test_choice_of_main_and_security() -> None:
    archive = choose(read_deb822(DEB822))
    assert archive.main.uri == "http://archive.test/debian"
    assert archive.keyring == Path("/usr/share/keyrings/archive.gpg")
    # endpoints speak plain http to the proxy, which asks the archive as this machine does
    assert archive.security.as_http == "http://security.test/debian-security"
    assert archive.origins == ("http://archive.test", "https://security.test")


def test_a_missing_security_suite_is_said() -> None:
    with pytest.raises(FleetError, match="security"):
        choose([Source("http://archive.test/debian", ("bookworm",), ("main",))])


def test_endpoints_are_dealt_to_regions_in_turn() -> None:
    planned = plan(Wish(5, ("eu", "us"), None), Layers(("/upper", "/lower"), 0.0))
    assert list(planned) == ["eu1", "eu2", "eu3", "us1", "us2"]
    assert planned["us2"].address == "10.91.2.11"
    assert planned["us2"].gateway == "10.91.2.1"


@pytest.mark.parametrize(("count", "regions"), [(1, "eu,us"), (6, ""), (6, "eu,eu"), (6, "eu-west"), (201, "eu")])
def test_impossible_fleets_are_refused(count: int, regions: str) -> None:
    with pytest.raises(FleetError):
        checked(count, regions)


def test_a_fleet_name_cannot_be_the_beginning_of_another() -> None:
    assert place("a").prefix == "bl-a-"
    with pytest.raises(FleetError, match="lower-case"):
        place("a-b")


def test_state_survives_being_written_and_read(tmp_path: Path) -> None:
    where = Place("t", tmp_path / "cache", tmp_path / "run")
    state = FleetState("t", ("eu",), {"eu1": EndpointState("eu1", "eu", "a", "g", "systemd", ("/l",), 10)}, 7, 8443)
    save(where, state)
    assert load(where) == state
    where.state_file.write_text('{"half')
    assert load(where) == FleetState("t")


def test_only_the_address_of_the_one_liner_changes() -> None:
    line = enrol_line("sha256//abc=", "127.0.0.1:8443", "et_1")
    changed = enrol.with_address(line, "10.91.1.1", 8443)
    assert changed == line.replace("127.0.0.1", "10.91.1.1")
    with pytest.raises(FleetError):
        enrol.with_address("sh install", "10.91.1.1", 8443)


def test_package_managers_are_dealt_in_turn_each_with_its_layer() -> None:
    layers = Layers(("/lists", "/base"), 0.0, "", {"dnf": "/dnf", "zypper": "/zypper", "pacman": "/pacman"})
    planned = plan(Wish(8, ("eu", "us"), None, managers="mixed"), layers)
    assert sorted(one.manager for one in planned.values()) == ["apt"] * 4 + ["dnf"] * 2 + ["pacman", "zypper"]
    assert {one.layers for one in planned.values() if one.manager == "apt"} == {("/lists", "/base")}
    assert {one.layers for one in planned.values() if one.manager == "dnf"} == {("/dnf", "/lists", "/base")}
    with pytest.raises(FleetError, match="brew"):
        plan(Wish(2, ("eu",), None, managers="apt,brew"), layers)
