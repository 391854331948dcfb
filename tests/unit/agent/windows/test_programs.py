"""Installed programs of the registry. Built after the documented keys of `Uninstall`; MSI for real: tests/system."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from brakeline.agent.providers.windows.programs import Entry, packed, programs, unpacked, upgrade_codes

MSI = "{0D9B2A63-1C4B-4F4E-9C58-2F6C3B1D7E90}"
CODE = "{A1B2C3D4-E5F6-4789-8ABC-DEF012345678}"


def entry(key: str = "Acme", view: int = 64, user: str = "", **values: object) -> Entry:
    return Entry(key, {"DisplayName": "Acme", "DisplayVersion": "1.0", **values}, view, user)


def test_a_program_in_both_views_is_one() -> None:
    both = [entry(view=32), entry(view=64), entry(view=32, DisplayVersion="0.9")]
    assert [(p.version, p.view) for p in programs(both)] == [("0.9", 32), ("1.0", 64)]


def test_every_user_has_programs_of_their_own() -> None:
    found = programs([entry(user="S-1-5-21-1"), entry(user="S-1-5-21-2"), entry()])
    assert [p.user for p in found] == ["", "S-1-5-21-1", "S-1-5-21-2"]


def test_parts_of_windows_and_updates_of_others_are_none() -> None:
    hidden: list[Mapping[str, object]] = [{"SystemComponent": 1}, {"ParentKeyName": "Office"}, {"DisplayName": ""},
                                          {"DisplayName": 7}]  # fmt: skip
    assert programs([entry(**values) for values in hidden]) == ()
    assert programs([entry(DisplayName="Acme\0 ")])[0].name == "Acme"  # what programs write is taken for what it is


def test_a_package_of_windows_installer_has_its_codes() -> None:
    upgrades = upgrade_codes({packed(CODE): [packed(MSI)], "nonsense": ["x"], packed(CODE).lower(): ["y" * 32]})
    (found,) = programs([entry(MSI.lower(), WindowsInstaller=1)], upgrades)
    assert (found.product, found.upgrade, found.made_by, found.silent) == (MSI, CODE, "msi", "/qn /norestart")
    (other,) = programs([entry(MSI, WindowsInstaller=0)], upgrades)
    assert (other.product, other.upgrade) == ("", "")


def test_how_an_installer_is_made_to_ask_nobody() -> None:
    commands = {
        r'"C:\Program Files\Acme\unins000.exe"': "inno", r"C:\Acme\uninstall.exe": "nsis",
        r'"C:\ProgramData\Package Cache\{0d9b2a63-1c4b-4f4e-9c58-2f6c3b1d7e90}\setup.exe" /uninstall': "burn",
        r"C:\Acme\remove-me.exe": "",
    }  # fmt: skip
    found = {command: programs([entry(UninstallString=command)])[0] for command in commands}
    assert {command: p.made_by for command, p in found.items()} == commands
    assert [bool(p.silent) for p in found.values()] == [True, True, True, False]  # unknown: never started


def test_a_guid_as_windows_installer_packs_it() -> None:
    assert packed("{12345678-9ABC-DEF0-1234-56789ABCDEF0}") == "87654321CBA90FED" + "2143658" + "7A9CBED0F"
    assert unpacked("no guid") == ""


@given(st.uuids())
def test_packing_is_undone(uuid: object) -> None:
    guid = f"{{{str(uuid).upper()}}}"
    assert unpacked(packed(guid)) == guid
