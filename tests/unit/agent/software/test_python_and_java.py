"""What METADATA and jars say, and what a hostile one may cost."""

from __future__ import annotations

import io
import struct
import zipfile

import pytest

from brakeline.agent.software import java, python
from brakeline.agent.software.model import Found, Unreadable

POM = b"#Generated\nversion=2.14.1\ngroupId=org.apache.logging.log4j\nartifactId=log4j-core\n"


def jar(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def read(data: bytes) -> tuple[tuple[Found, ...], tuple[str, ...]]:
    return java.read(io.BytesIO(data), "/opt/a.jar")


def test_metadata_names_a_distribution() -> None:
    data = b"Metadata-Version: 2.1\nName: Jinja2\nVersion: 3.1.2\n\nName: not this\nVersion: 9\n"
    assert python.read(data, "/site") == Found("pypi", "Jinja2", "3.1.2", "/site")


@pytest.mark.parametrize(
    "data",
    [b"", b"Name: x\n", b"Name: x\n\nVersion: 1\n", b"\xff\xfe\x00", b"Name: a\tb\nVersion: 1\n",
     b"Name: a\x1b[2J\nVersion: 1\n", b"Name: " + b"a" * 300 + b"\nVersion: 1\n"],
)  # fmt: skip
def test_metadata_that_names_none_is_told_as_such(data: bytes) -> None:
    with pytest.raises(Unreadable):
        python.read(data, "/site")


def test_a_jar_is_named_by_its_coordinates_and_a_war_by_the_jars_in_it() -> None:
    inner = jar({"META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties": POM})
    items, gaps = read(jar({"WEB-INF/lib/log4j-core.jar": inner, "META-INF/MANIFEST.MF": b"Manifest-Version: 1.0\n"}))
    assert gaps == ()
    assert [(i.name, i.version, i.where) for i in items] == [
        ("org.apache.logging.log4j:log4j-core", "2.14.1", "/opt/a.jar!/WEB-INF/lib/log4j-core.jar")
    ]


@pytest.mark.parametrize(
    ("manifest", "name"),
    [
        (
            b"Bundle-SymbolicName: org.yaml.snake\r\n yaml;singleton:=true\r\nBundle-Version: 1.33\r\n",
            "org.yaml:snakeyaml",
        ),
        (b"Implementation-Vendor-Id: commons-io\nImplementation-Title: x\nImplementation-Version: 2\n", "commons-io:x"),
        (b"Implementation-Title: Utilities\nImplementation-Version: 2\n", None),  # a title alone is no name
        (b"Name: a/B.class\nSHA-256-Digest: x\n\nBundle-SymbolicName: a.b\nBundle-Version: 1\n", None),
    ],
)
def test_a_jar_without_coordinates_is_named_by_a_complete_manifest_alone(manifest: bytes, name: str | None) -> None:
    items, _ = read(jar({"META-INF/MANIFEST.MF": manifest}))
    assert [i.name for i in items] == ([name] if name else [])


def test_a_bomb_costs_a_bounded_read_and_is_told() -> None:
    bomb = jar({"x": b"\0" * (java.NESTED_BYTES_MAX + 1)})
    claims_little = bytearray(jar({"lib/bomb.jar": bomb * 40, "META-INF/maven/g/a/pom.properties": POM}))
    items, gaps = read(bytes(claims_little))
    assert [i.name for i in items] == ["org.apache.logging.log4j:log4j-core"]
    assert gaps == ()  # the nested archive is read (it compresses well), nothing of it is unpacked
    many = jar({"lib/large.jar": b"\0" * (java.NESTED_BYTES_MAX + 1)})
    assert read(many)[1] == ("/opt/a.jar!/lib/large.jar: not looked into, it is beyond what is read of one archive",)


def test_a_size_that_lies_is_noticed_while_reading() -> None:
    data = bytearray(jar({"lib/large.jar": b"\0" * (java.NESTED_BYTES_MAX + 1)}))
    at = data.rfind(b"PK\x01\x02")
    struct.pack_into("<L", data, at + 24, 100)  # uncompressed size in the central directory
    items, gaps = read(bytes(data))
    assert items == ()
    assert len(gaps) == 1
    assert gaps[0].startswith("/opt/a.jar!/lib/large.jar: ")


@pytest.mark.parametrize("cut", [0, 1, 21, 60])
def test_damage_is_a_reason_and_never_a_crash(cut: int) -> None:
    data = jar({"META-INF/maven/g/a/pom.properties": POM})
    with pytest.raises(Unreadable):
        read(data[:cut])
    broken = bytearray(data)
    for at in range(0, len(broken), 7):
        broken[at] ^= 0xFF
        try:
            read(bytes(broken))
        except Unreadable as e:
            assert str(e)  # noqa: PT017 - most are refused, some are still archives: none may crash


def test_too_many_entries_are_refused_before_they_are_read() -> None:
    data = bytearray(jar({"a": b"1"}))
    at = data.rfind(b"PK\x05\x06")
    struct.pack_into("<HH", data, at + 8, 0xFFFF, 0xFFFF)
    with pytest.raises(Unreadable, match="65535 entries"):
        read(bytes(data))
