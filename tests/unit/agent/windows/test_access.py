"""Who may do what on Windows, against identifiers and descriptors that Microsoft has published."""

from __future__ import annotations

import pytest

from brakeline.agent import access


def test_a_service_s_own_account_is_the_one_that_windows_gives_it() -> None:
    """TrustedInstaller's is in every access list of a Windows; its service has no account but this one."""
    known = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
    assert access.service_sid("TrustedInstaller") == known
    assert access.service_sid("trustedinstaller") == known


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("S-1-5-18", True), ("S-1-5-21-0-0-0-1000", True), ("S-1-5", False), ("brakeline", False), ("", False),
        ("S-1-5-18)(A;;GA;;;WD", False), ("S-1-5-18\n", False), ("S-1-5-" + "-".join("9" * 16), False),
    ],
)  # fmt: skip
def test_what_an_identifier_is(text: str, right: bool) -> None:
    assert access.is_sid(text) is right


def test_the_agent_may_talk_on_the_pipe_and_may_not_offer_it() -> None:
    right_to_offer, synchronize, read_data, write_data = 0x4, 0x00100000, 0x1, 0x2
    assert not access.TALKS & right_to_offer
    assert all(access.TALKS & needed for needed in (synchronize, read_data, write_data))
    assert access.pipe("S-1-5-80-1") == "O:SYG:SYD:P(A;;GA;;;SY)(A;;0x0012019b;;;S-1-5-80-1)"


def test_an_account_that_is_not_known_is_nobody() -> None:
    assert access.pipe("") == "O:SYG:SYD:P(A;;GA;;;SY)"
    assert access.may_ask("") == frozenset({access.SYSTEM})
    assert access.may_ask("S-1-5-80-1") == frozenset({access.SYSTEM, "S-1-5-80-1"})


def test_folders_are_nobody_else_s() -> None:
    for sddl in (access.helper_folder(), access.program_folder("S-1-5-80-1"), access.agent_folder("S-1-5-80-1")):
        assert sddl.startswith("O:BAD:P")  # nothing is inherited, and nobody who made it beforehand stays its owner
        granted = {entry.split(";")[-1] for entry in sddl[7:].strip("()").split(")(")}
        assert granted <= {"SY", "BA", "S-1-5-80-1"}
    assert "S-1-5-80-1" not in access.helper_folder()
    write_data, delete, change_access = 0x2, 0x10000, 0x40000
    for sddl in (access.program_folder("S-1-5-80-1"), access.owner_folder()):
        rights = int(sddl.rpartition(";;;")[0].rpartition(";")[2], 16)
        assert not rights & (write_data | delete | change_access)


@pytest.mark.parametrize(
    ("folder", "whole"),
    [
        ("C:\\", True), ("d:", True), ("C:/", True), ("\\", True), ("\\\\server\\share\\", True),
        ("C:\\ProgramData\\Brakeline", False), ("D:\\x", False), ("\\\\server\\share\\x", False),
    ],
)  # fmt: skip
def test_what_is_a_whole_drive_and_never_closed_to_everybody_else(folder: str, whole: bool) -> None:
    assert access.is_drive(folder) is whole
