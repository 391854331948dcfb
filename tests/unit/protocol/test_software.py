"""An own package's text: what is taken, what is refused and why, and who is believed."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from tests.ownpackages import ANN, BOB, artifact, package, script, signed

from brakeline.protocol.software import BadSoftware, read, read_package, write
from brakeline.protocol.software_rules import pattern_problem, problem, version_in
from brakeline.protocol.trusted_authors import disbelieved, read_authors
from brakeline.trust import ed25519

KEYS = {"ann": ed25519.public_key(ANN).hex(), "bob": ed25519.public_key(BOB).hex()}


def wrong(**more: Any) -> str:
    return problem(read_package(json.dumps(package(**more)).encode()))


def test_a_document_is_read_as_it_was_written_and_its_version_is_its_text() -> None:
    made = signed(package(artifact=artifact(b"data")))
    assert read(write(made)) == made
    assert problem(made.software) == ""
    other = signed(package(artifact=artifact(b"data"), title="payroll Client"))
    assert made.version != other.version
    assert made.version.startswith("1+")
    assert (len(made.version), made.file) == (14, f"software/payroll_{made.version[2:]}.json")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"name": "Pay Roll"}, "name 'Pay Roll'"),
        ({"name": "a..b"}, "name 'a..b'"),
        ({"version": "v2"}, "begins with a digit"),
        ({"version": "1+1"}, "begins with a digit"),
        ({"title": " "}, "title is a line"),
        ({"platforms": ["linux", "windows"]}, "make a package for each"),
        ({"platforms": ["windows"], "detection": {"kind": "deb", "package": "x1"}}, "deb is for linux"),
        ({"platforms": ["windows"], "detection": {"kind": "record"}}, "one of powershell, cmd, msiexec, not 'sh'"),
        ({"detection": {"kind": "file", "path": "/x"}}, "detection by file needs pattern"),
        ({"detection": {"kind": "path", "path": "/x", "package": "y"}}, "detection by path has no package"),
        ({"detection": {"kind": "path", "path": "/opt/../etc/shadow"}}, "no plain absolute path"),
        ({"detection": {"kind": "path", "path": "C:/App"}}, "no plain absolute path"),
        ({"detection": {"kind": "path", "path": "opt"}}, "no plain absolute path"),
        ({"detection": {"kind": "path", "path": "/home/ann/app"}}, "where the agent does not look"),
        ({"detection": {"kind": "deb", "package": "A b"}}, "not the name of a package"),
        ({"detection": {"kind": "rpm", "package": "-e bash"}}, "not the name of a package"),
        ({"detection": {"kind": "rpm"}}, "detection by rpm needs package"),
        ({"platforms": ["windows"], "detection": {"kind": "rpm", "package": "x"}}, "rpm is for linux"),
        ({"detection": {"kind": "program", "package": "Acme"}}, "program is for windows"),
        ({"platforms": ["windows"], "detection": {"kind": "program", "package": "*"}}, "is no display name"),
        ({"platforms": ["windows"], "detection": {"kind": "program", "package": "A*b"}}, "is no display name"),
        ({"platforms": ["windows"], "detection": {"kind": "msi", "package": "acme"}}, "no product or upgrade code"),
        ({"platforms": ["windows"], "detection": {"kind": "registry", "path": "HKLM/SOFTWARE/A"}}, "needs package"),
        ({"platforms": ["windows"], "detection": {"kind": "registry", "path": "C:/A", "package": "V"}}, "is no key"),
        ({"platforms": ["windows"], "detection": {"kind": "file-version", "path": "/opt/a"}}, "plain absolute path"),
        ({"artifact": artifact(b"x", "../x")}, "no plain file name"),
        ({"artifact": artifact(b"x") | {"sha256": "AB"}}, "sha256 is 64 hex digits"),
        ({"artifact": artifact(b"x") | {"bytes": 17 << 20}}, "give larger ones a url"),
        ({"artifact": artifact(b"x", url="file:///etc/shadow")}, "no http or https address"),
        ({"install": script("x", interpreter="perl")}, "install: on linux the interpreter is one of sh, bash, python3"),
        ({"install": script(" ")}, "leave a script out"),
        ({"pre": script("x", timeout_s=3601)}, "pre: timeout_s is 1 to 3600"),
        ({"post": script("x", success=[])}, "post: success is 1 to 8"),
        ({"way_back": "none"}, "one of the two is not meant"),
    ],
)
def test_what_makes_no_sense_is_named(more: dict[str, Any], says: str) -> None:
    assert says in wrong(**more)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"no", "is not JSON"),
        (b"[]", "no JSON object"),
        (b'{"format": 2, "package": ""}', "format is '2'"),
        (b'{"format": true, "package": ""}', "understands 1"),
        (b'{"format": 1, "package": 3}', "package is the signed text"),
        (b'{"format": 1, "package": "{}", "if": 1}', "has a key 'if'"),
        (json.dumps({"format": 1, "package": json.dumps(package(only_if="x"))}).encode(), "has a key 'only_if'"),
        (json.dumps({"format": 1, "package": json.dumps(package(pre=script("x", user="y")))}).encode(), "key 'user'"),
        (b'{"format": 1, "package": "' + b"x" * 300_000, "at most 262144"),
    ],
)
def test_what_is_no_document_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(BadSoftware, match=r".") as caught:
        read(data)
    assert says in caught.value.detail


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|b)",
        "(?=x)(y)",
        r"(x)\1",
        "(a)(b)",
        "a",
        "a*b*c*d*(e)",
        "((a))",
        "(a",
        "x" * 130,
        "[(]",
        ".?" * 5 + "(x)",
        ".{0,99}" * 4 + "(x)",
        "a{1,2}b*c+d*(e)",
    ],
)
def test_a_pattern_that_could_take_long_or_has_no_version_is_refused(pattern: str) -> None:
    assert pattern_problem(pattern) != ""


def test_the_worst_pattern_that_is_taken_ends_soon() -> None:
    pattern = ".?.?.?.?.*.*([0-9]+)x"
    assert pattern_problem(pattern) == ""
    began = time.process_time()
    assert version_in(pattern, "1" * 200) == ""
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    ("pattern", "text", "version"),
    [
        ("version=([0-9.]+)", "name=x\nversion=1.2.3\n", "1.2.3"),
        (r"\s*<version>([0-9.]+)</version>", "  <version>7</version>", "7"),
        ("([0-9.]+)", "none\n2.0-rc", "2.0"),
        ("v([A-Za-z0-9.]+)", "vabc\n", ""),
        ("version=([0-9.]+)", "# version=1\n", ""),
    ],
)
def test_a_version_is_read_from_the_start_of_a_line(pattern: str, text: str, version: str) -> None:
    assert pattern_problem(pattern) == ""
    assert version_in(pattern, text) == version


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "has named no author"),
        (b"", "makes no sense"),
        (b"[]", "makes no sense"),
        (b'{"authors": {}}', "names 1 to 50"),
        (b'{"authors": {"ann": "xy"}, "needed": 1}', "names 1 to 50"),
        (json.dumps({"authors": {"ann": KEYS["ann"]}}).encode(), "needs 2 authors and names 1"),
        (json.dumps({"authors": {"ann": KEYS["ann"], "also": KEYS["ann"]}, "needed": 1}).encode(), "different keys"),
        (json.dumps({"authors": KEYS, "needed": 0}).encode(), "needs 0 authors"),
        (json.dumps({"authors": KEYS, "neded": 1}).encode(), "key 'neded'"),
        (b'{"authors": {"x": "' + b"a" * 20_000 + b'"}}', "makes no sense"),
    ],
)
def test_a_file_of_authors_that_is_missing_or_wrong_allows_nothing(text: bytes | None, says: str) -> None:
    authors = read_authors(text)
    assert (authors.keys, says.replace("different keys", "keys of 64 hex digits") in authors.problem) == ({}, True)
    assert disbelieved(signed(package(), ANN, BOB), authors) == f"{authors.problem}."


def test_the_same_author_twice_is_one_and_a_changed_text_is_nobody_s() -> None:
    authors = read_authors(json.dumps({"authors": KEYS}).encode())
    made = signed(package(), ANN, BOB)
    assert disbelieved(made, authors) == ""
    twice = signed(package(), ANN, ANN)
    assert disbelieved(twice, authors) == "payroll is signed by ann; 2 of the authors in authors.json must sign it."
    assert "nobody whom root" in disbelieved(replace(made, text=made.text + " "), authors)


@pytest.mark.parametrize("kind", [[], {}, None, 1])
def test_a_list_where_a_word_should_stand_is_refused_and_no_defect(kind: Any) -> None:
    plain = package(detection={"kind": kind})
    with pytest.raises(BadSoftware, match="expected one of"):
        read_package(json.dumps(plain).encode())
