"""What a package holds and how a .deb and a recipe for rpm are written: no tool, no process."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
from dataclasses import replace

import pytest

from brakeline.core.errors import Invalid
from brakeline.releases import deb, rpm
from brakeline.releases.packages import PRIVATE_PYTHON, File, Package, Scripts, endpoint_package

SCRIPTS = Scripts("echo before", "echo after", "echo 100 % gone", "echo away", "echo purged")
SMALL = Package("1.0", {"usr/bin/x": File(b"#!/bin/sh\n", 0o755), "usr/lib/x/y": File(b"y")}, SCRIPTS)


def members(data: bytes) -> dict[str, bytes]:
    """An ar archive, read as deb(5) describes it."""
    assert data.startswith(b"!<arch>\n")
    at, found = 8, {}
    while at < len(data):
        head = data[at : at + 60].decode()
        assert head.endswith("`\n")
        name, size = head[:16].strip(), int(head[48:58])
        found[name] = data[at + 60 : at + 60 + size]
        at += 60 + size + size % 2
    return found


def unpacked(data: bytes) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(lzma.decompress(data))) as tar:
        return {m.name: (m, (tar.extractfile(m) or io.BytesIO()).read() if m.isreg() else b"") for m in tar}


def test_a_deb_has_its_three_members_in_the_order_that_dpkg_wants() -> None:
    assert list(members(deb.build(SMALL))) == ["debian-binary", "control.tar.xz", "data.tar.xz"]


def test_everything_in_it_is_roots_has_its_mode_and_the_one_time() -> None:
    data = unpacked(members(deb.build(SMALL))["data.tar.xz"])
    entries = [entry for entry, _ in data.values()]
    assert {(e.uid, e.gid, e.uname, e.gname, e.mtime) for e in entries} == {(0, 0, "root", "root", 1_577_836_800)}
    assert data["./usr/bin/x"][0].mode == 0o755
    assert data["./usr/lib/x/y"][0].mode == 0o644
    assert {e.mode for e in entries if e.isdir()} == {0o755}
    names = list(data)
    assert all(names.index(name.rpartition("/")[0]) < names.index(name) for name in names if name.count("/") > 1)


def test_the_sums_in_it_are_those_of_its_files() -> None:
    made = members(deb.build(SMALL))
    control, data = unpacked(made["control.tar.xz"]), unpacked(made["data.tar.xz"])
    sums = dict(line.split("  ")[::-1] for line in control["./md5sums"][1].decode().splitlines())
    files = {name.removeprefix("./"): content for name, (entry, content) in data.items() if entry.isreg()}
    assert sums == {name: hashlib.md5(content).hexdigest() for name, content in files.items()}


def test_a_script_does_something_only_in_its_own_case() -> None:
    control = unpacked(members(deb.build(SMALL))["control.tar.xz"])
    texts = {name.removeprefix("./"): content.decode() for name, (_, content) in control.items()}
    assert "remove)\necho away\n;;\npurge)\necho purged\n;;" in texts["postrm"]
    assert "configure)\necho after\n;;" in texts["postinst"]
    assert "upgrade" not in texts["prerm"], "an upgrade stops nothing before the new files are there"
    assert all(control[f"./{name}"][0].mode == 0o755 for name in ("preinst", "postinst", "prerm", "postrm"))


def test_in_a_spec_no_percent_of_a_script_is_a_macro_and_removal_is_not_upgrade() -> None:
    text = rpm.spec(SMALL)
    assert 'if [ "$1" = 0 ]; then\necho 100 %% gone\nfi' in text
    assert "%attr(0755,root,root) /usr/bin/x" in text
    assert "Requires: python3 >= 3.11" in text


def test_with_a_python_of_its_own_it_needs_none_and_names_the_machine_and_its_c_library() -> None:
    files = {**SMALL.files, "usr/lib/x/p": File(b"\x7fELF GLIBC_2.4\0 GLIBC_2.35\0 GLIBC_2.9\0")}
    private = replace(SMALL, files=files, machine="x86_64")
    control = unpacked(members(deb.build(private))["control.tar.xz"])["./control"][1].decode()
    assert "Architecture: amd64\n" in control
    assert "Depends: libc6 (>= 2.35), systemd\n" in control
    assert "Requires: libc.so.6(GLIBC_2.35)(64bit)" in rpm.spec(private)
    assert "python3" not in rpm.spec(private)


def test_units_and_command_run_under_the_python_that_is_inside() -> None:
    private = endpoint_package("1.0", 1, {"brakeline-python": File(b"\x7fELF", 0o755)}, "x86_64")
    system = endpoint_package("1.0", 1)
    names = ("usr/bin/brakeline-agent", "usr/lib/systemd/system/brakeline-agent.service")
    for name in names:
        assert PRIVATE_PYTHON.encode() in private.files[name].data
        assert b"/usr/bin/python3" not in private.files[name].data
        assert b"/usr/bin/python3" in system.files[name].data
    assert set(private.files) - set(system.files) == {"usr/lib/brakeline/python/brakeline-python"}
    assert private.seed == system.seed, "the agent inside is the very same release"


@pytest.mark.parametrize("version", ["", "v1", "1 0", "1-0", "1:0", "1~rc", "1\n", "1" * 40, "1/2"])
def test_a_version_that_some_format_would_read_otherwise_is_refused(version: str) -> None:
    with pytest.raises(Invalid):
        endpoint_package(version, 1)


def test_a_machine_that_nobody_has_built_for_is_refused() -> None:
    strange = replace(SMALL, machine="vax")
    for format_ in (deb, rpm):
        with pytest.raises(Invalid, match="vax"):
            format_.file_name(strange)
    with pytest.raises(Invalid):
        endpoint_package("1.0", 1, machine="x86_64")
