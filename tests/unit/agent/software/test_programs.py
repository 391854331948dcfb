"""Go and Rust programs, node's and Ruby's descriptions: what they say, what they cannot, what a hostile one costs."""

from __future__ import annotations

import io
import json
import struct
import zlib

import pytest

from brakeline.agent.software import elf, golang, kinds, node, readers, ruby, rust
from brakeline.agent.software.model import Told, Unreadable

SENTINEL = b"0w\xaf\x0c\x92t\x08\x02A\xe1\xc1\x07\xe6\xd6\x18\xe6"
MODULES = (
    "path\texample.org/tool\nmod\texample.org/tool\tv1.2.0\th1:x\ndep\tgolang.org/x/net\tv0.7.0\th1:y\n"
    "dep\tgithub.com/a/b\tv1.0.0\n=>\tgithub.com/fork/b\tv1.0.1\th1:z\nbuild\t-compiler=gc\n"
)


def program(sections: dict[str, bytes], address: int = 0x400000) -> bytes:
    """The smallest ELF that has these sections."""
    names = b"\0" + b"".join(n.encode() + b"\0" for n in sections) + b".shstrtab\0"
    body, rows, at = b"", [(0, 0, 0, 0)], 64
    for name, data in (*sections.items(), (".shstrtab", names)):
        rows.append((names.index(b"\0" + name.encode() + b"\0") + 1, address + at, at, len(data)))
        body, at = body + data, at + len(data)
    table = b"".join(struct.pack("<LLQQQQLLQQ", n, 1, 0, a, o, s, 0, 0, 0, 0) for n, a, o, s in rows)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack(
        "<HHLQQQLHHHHHH", 2, 62, 1, 0, 0, at, 0, 64, 0, 0, 64, len(rows), len(rows) - 1
    )  # fmt: skip
    return head + body + table


def text(data: bytes) -> bytes:
    length, out = len(data), b""
    while length > 0x7F:
        out, length = out + bytes([length & 0x7F | 0x80]), length >> 7
    return out + bytes([length]) + data


def go(modules: str = MODULES, version: str = "go1.19.8") -> bytes:
    told = SENTINEL + modules.encode() + SENTINEL if modules else b""
    return program({golang.SECTION: golang.MAGIC + b"\x08\x02" + bytes(16) + text(version.encode()) + text(told)})


def read(data: bytes) -> Told:
    return readers.read(kinds.PROGRAM, io.BytesIO(data), "/usr/local/bin/tool")


def test_a_go_program_names_what_it_was_linked_with() -> None:
    assert [(i.name, i.version) for i in read(go()).items] == [
        ("stdlib", "1.19.8"), ("example.org/tool", "v1.2.0"), ("golang.org/x/net", "v0.7.0"),
        ("github.com/fork/b", "v1.0.1"),
    ]  # fmt: skip


def test_a_development_version_is_left_out_and_a_program_without_modules_says_so() -> None:
    told = read(go("path\tx\nmod\texample.org/tool\t(devel)\t\ndep\ta.b/c\tv1.0.0\n"))
    assert [i.name for i in told.items] == ["stdlib", "a.b/c"]
    assert read(go("")).untold == golang.UNTOLD


def test_an_older_go_program_points_to_its_texts() -> None:
    version, modules = b"go1.17.3", SENTINEL + MODULES.encode() + SENTINEL
    data_at = 64
    texts = version + modules
    headers_at = data_at + len(texts)
    headers = struct.pack("<QQQQ", 0x400000 + data_at, len(version), 0x400000 + data_at + len(version), len(modules))
    info = golang.MAGIC + b"\x08\x00" + struct.pack("<QQ", 0x400000 + headers_at, 0x400000 + headers_at + 16)
    told = read(program({".data": texts + headers, golang.SECTION: info}))
    assert [i.name for i in told.items][:2] == ["stdlib", "example.org/tool"]


def test_a_rust_program_names_its_crates_only_if_it_was_built_so() -> None:
    crates = {"packages": [
        {"name": "tool", "version": "0.1.0", "source": "local", "root": True},
        {"name": "smallvec", "version": "1.6.0", "source": "crates.io"},
        {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"},
    ]}  # fmt: skip
    told = read(program({rust.SECTION: zlib.compress(json.dumps(crates).encode())}))
    assert [(i.ecosystem, i.name, i.version) for i in told.items] == [("crates.io", "smallvec", "1.6.0")]
    assert read(program({".comment": b"GCC: x\0rustc version 1.63.0\0"})).untold == rust.UNTOLD
    assert read(program({".text": b"x"})) == Told()
    assert read(b"#!/bin/sh\n") == Told()


def test_a_bomb_of_crates_is_bounded() -> None:
    bomb = zlib.compress(b" " * (rust.LIST_BYTES_MAX + 1) + b'{"packages": []}')
    with pytest.raises(Unreadable):
        read(program({rust.SECTION: bomb}))


@pytest.mark.parametrize("at", range(0, 200, 3))
def test_a_damaged_program_is_a_reason_and_never_a_crash(at: int) -> None:
    for made in (go(), program({rust.SECTION: zlib.compress(b"{}")})):
        data = bytearray(made)
        data[at % len(data)] ^= 0xFF
        for broken in (bytes(data), bytes(data[:at])):
            try:
                read(broken)
            except Unreadable as e:
                assert str(e)  # noqa: PT017 - some damage is harmless, the rest is told


def test_a_table_of_sections_that_leads_outside_is_refused() -> None:
    data = bytearray(go())
    struct.pack_into("<Q", data, 40, 1 << 62)
    with pytest.raises(Unreadable):
        elf.read(io.BytesIO(bytes(data)))


def test_cargo_writes_down_what_it_installed() -> None:
    said = {"installs": {
        "ripgrep 13.0.0 (registry+https://github.com/rust-lang/crates.io-index)": {},
        "mine 0.1.0 (path+file:///home/me/mine)": {},
    }}  # fmt: skip
    assert [(i.name, i.version) for i in rust.installed(json.dumps(said).encode(), "/root/.cargo")] == [
        ("ripgrep", "13.0.0")
    ]
    with pytest.raises(Unreadable):
        rust.installed(b"[]", "/x")


def test_a_node_package_is_named_and_a_part_of_one_is_not() -> None:
    assert node.read(b'{"name":"@s/a","version":"1.0.0"}', "/x")[0].name == "@s/a"
    assert node.read(b'{"type":"module"}', "/x") == ()


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"[" * 100_000, b'{"name":"a b","version":"1"}', b'{"name":"a","version":"1\\n2"}']
)
def test_a_node_package_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable):
        node.read(data, "/x")


def test_a_gemspec_is_read_and_never_run() -> None:
    data = b'Gem::Specification.new do |s|\n  s.name = "rake".freeze\n  s.version = "13.0.6"\nend\n'
    assert (ruby.read(data, "/g").name, ruby.read(data, "/g").version) == ("rake", "13.0.6")
    with pytest.raises(Unreadable, match="without running it"):
        ruby.read(b's.name = "x"\ns.version = File.read("VERSION")\n', "/g")
    with pytest.raises(Unreadable):
        ruby.read(b's.name = "x#{system(1)}"\ns.version = "1"\n', "/g")
