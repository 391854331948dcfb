"""Which own packages are on a Windows endpoint, by what was recorded of its registry and its files."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from brakeline.agent.providers.own.windows import file_version, look
from brakeline.agent.providers.windows.programs import Entry, Program, packed, programs, upgrade_codes
from brakeline.protocol.software import Detection, Look

PRODUCT, UPGRADE = "{0D9B2A63-1C4B-4F4E-9C58-2F6C3B1D7E90}", "{A1B2C3D4-E5F6-4789-8ABC-DEF012345678}"
ENTRIES = (
    Entry("Wireshark", {"DisplayName": "Wireshark 4.6.8 x64", "DisplayVersion": "4.6.8"}),
    Entry(PRODUCT, {"DisplayName": "Nextcloud", "DisplayVersion": "34.0.2.1", "WindowsInstaller": 1}),
    Entry("Vivaldi", {"DisplayName": "Vivaldi", "DisplayVersion": "8.1.4087.70"}, user="S-1-5-21-1"),
    Entry("Vivaldi", {"DisplayName": "Vivaldi", "DisplayVersion": "8.1.4087.9"}),
    Entry("Odd", {"DisplayName": "Odd", "DisplayVersion": "spring 2026"}),
)


@dataclass
class Recorded:
    values: Mapping[tuple[str, str], str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def programs(self) -> tuple[Program, ...]:
        return programs(ENTRIES, upgrade_codes({packed(UPGRADE): [packed(PRODUCT)]}))

    def value(self, key: str, name: str) -> str | None:
        return self.values.get((key, name))

    def read(self, path: str, offset: int, size: int) -> bytes | None:
        data = self.files.get(path)
        return None if data is None else data[offset : offset + size]


def program(version: tuple[int, int, int, int] = (1, 24, 3, 0), section: bytes = b".rsrc") -> bytes:
    """The parts of a program file that say its version, as the format's description has them."""
    fixed = struct.pack("<IIII", 0xFEEF04BD, 0x10000, version[0] << 16 | version[1], version[2] << 16 | version[3])
    resource = b"\0" * 100 + "VS_VERSION_INFO\0".encode("utf-16-le") + b"\0" * 6 + fixed + b"\0" * 40
    head = b"MZ" + bytes(58) + struct.pack("<I", 128)
    head += bytes(128 - len(head)) + b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 2, 0, 0, 0, 16, 0) + bytes(16)
    text = b".text\0\0\0" + struct.pack("<IIII", 0, 0, 8, 512) + bytes(16)
    own = section.ljust(8, b"\0") + struct.pack("<IIII", 0, 0, len(resource), 1024) + bytes(16)
    return (head + text + own).ljust(1024, b"\0") + resource


@pytest.mark.parametrize(
    ("kind", "package", "version"),
    [
        (Look.PROGRAM, "Wireshark *", "4.6.8"), (Look.PROGRAM, "wireshark 4.6.8 x64", "4.6.8"),
        (Look.PROGRAM, "Wireshark", ""), (Look.PROGRAM, "Vivaldi", "8.1.4087.70"), (Look.PROGRAM, "Odd", "0"),
        (Look.PROGRAM, "Nothing*", ""), (Look.MSI, PRODUCT, "34.0.2.1"), (Look.MSI, UPGRADE, "34.0.2.1"),
        (Look.MSI, "{00000000-0000-0000-0000-000000000000}", ""),
    ],
)  # fmt: skip
def test_programs_and_msi_packages(kind: Look, package: str, version: str) -> None:
    assert look(Detection(kind, package=package), Recorded()) == version


def test_a_value_of_the_registry() -> None:
    key = "HKLM/SOFTWARE/Acme/Agent"
    seen = Detection(Look.REGISTRY, path=key, package="Version")
    assert look(seen, Recorded({(key, "Version"): " v2.1.0 "})) == "2.1.0"
    assert look(seen, Recorded({(key, "Version"): "latest"})) == "0", "it is there; which version nobody can say"
    assert look(seen, Recorded()) == ""


def test_the_version_in_a_program_file() -> None:
    where = "C:/Program Files/Acme/acme.exe"
    seen = Detection(Look.FILE_VERSION, path=where)
    assert look(seen, Recorded(files={where: program()})) == "1.24.3.0"
    assert look(seen, Recorded(files={})) == ""
    whole = program()
    odd = [b"", b"MZ", whole[:200], whole[:1100], program(section=b".data"), b"#!/bin/sh\n" * 40, whole[:-60],
           b"MZ" + bytes(58) + b"\xff\xff\xff\x7f" + bytes(100)]  # fmt: skip
    for data in odd:
        assert file_version(where, Recorded(files={where: data})) == "0"


def test_what_is_of_another_system_is_not_there() -> None:
    assert look(Detection(Look.DEB, package="bash"), Recorded()) == ""
