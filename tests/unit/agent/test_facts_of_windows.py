"""What a Windows endpoint says of itself follows from its registry."""

from __future__ import annotations

import pytest

from brakeline.agent.facts import of_windows
from brakeline.protocol.messages import Facts

ELEVEN = {"ProductName": "Windows 10 Pro", "DisplayVersion": "24H2", "CurrentBuildNumber": "26100", "UBR": "2894",
          "InstallationType": "Client", "Version": "10.0"}  # fmt: skip
TEN = ELEVEN | {"DisplayVersion": "22H2", "CurrentBuildNumber": "19045"}
SERVER = ELEVEN | {"ProductName": "Windows Server 2022 Standard", "DisplayVersion": "21H2",
                   "CurrentBuildNumber": "20348", "InstallationType": "Server Core"}  # fmt: skip


def of(known: dict[str, str], *, battery: bool = False) -> Facts:
    return of_windows(known, "pc-17", "amd64", battery, "1.2.3")


def test_build_and_name() -> None:
    said = of(TEN)
    assert (said.os_id, said.os_version, said.kernel) == ("windows", "10.0.19045", "10.0.19045.2894")
    assert (said.os_name, said.hostname, said.agent_version) == ("Windows 10 Pro 22H2", "pc-17", "1.2.3")


def test_windows_11_is_called_so_although_its_registry_says_10() -> None:
    assert of(ELEVEN).os_name == "Windows 11 Pro 24H2"
    assert of(SERVER).os_name == "Windows Server 2022 Standard 21H2"


@pytest.mark.parametrize(
    ("known", "battery", "kind"),
    [(SERVER, True, "server"), (ELEVEN, True, "laptop"), (ELEVEN, False, "desktop"), ({}, False, "desktop")],
)
def test_its_kind(known: dict[str, str], battery: bool, kind: str) -> None:
    assert of(known, battery=battery).machine_class == kind


def test_its_own_manager_and_an_empty_registry_is_no_crash() -> None:
    assert of(ELEVEN).package_manager == "windows"
    assert of({}).os_version == ".0"
