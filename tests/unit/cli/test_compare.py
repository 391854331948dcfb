"""`exposure compare-versions`: one pair by words, many by lines, and what is no version."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from brakeline.cli import __main__ as program
from brakeline.cli.compare import main


@pytest.mark.parametrize(
    ("ecosystem", "a", "b", "sign"),
    [
        ("deb", "1.0~rc1", "1.0", "<"), ("rpm", "1.0^git", "1.0", ">"), ("apk", "1.2_rc1", "1.2", "<"),
        ("alpm", "1.0-1", "1.0", "="), ("pypi", "1.0.dev1", "1.0a1", "<"), ("semver", "1.0.0", "1.0.0+x", "="),
        ("npm", "1.10.0", "1.9.0", ">"), ("golang", "v1.2.3", "1.2.3", "="), ("maven", "1-sp", "1", ">"),
        ("nuget", "1.0-A", "1.0.0-a", "="), ("winget", "1.0-beta", "1.0", "<"),
    ],
)  # fmt: skip
def test_a_pair_in_every_ecosystem(
    capsys: pytest.CaptureFixture[str], ecosystem: str, a: str, b: str, sign: str
) -> None:
    assert program.main(["exposure", "compare-versions", ecosystem, a, b]) == 0
    assert capsys.readouterr().out == f"{sign}\n"


def test_each_line_is_answered_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = io.StringIO("1.0\t2.0\r\n1\t1\n1..\t1\nno tab\n\n1.0.0\t" + "9" * 300 + ".0.0\n3.0.0\t2.0.0")
    assert main(["npm", "-"], pairs) == 0
    assert capsys.readouterr().out.split("\n") == ["!", "!", "!", "!", "!", "!", ">", ""]


def test_a_pair_that_cannot_be_compared_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["npm", "1", "2"]) == 2
    assert "expected numbers with dots" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["deb"], ["deb", "1"], ["gems", "1", "2"], ["deb", "1", "2", "3"]])
def test_wrong_usage_is_told(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, "compare-versions --help" in err) == ("", True)


def test_help_names_every_ecosystem(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "deb, rpm, apk, alpm, pypi, semver, npm, golang, maven, nuget, winget, rubygems" in capsys.readouterr().out


def test_bytes_that_are_no_text_spoil_no_other_line() -> None:
    lines = b"1.0.0\t2.0.0\n\xff\xfe\t1.0.0\n1.0.0\t\xed\xa0\x80\n2.0.0\t1.0.0\n"
    for ecosystem, told in (("npm", "<!!>"), ("winget", "<!!>"), ("maven", "<!!>"), ("deb", "<!!>"), ("rpm", "<!!>")):
        words = [sys.executable, "-m", "brakeline.cli", "exposure", "compare-versions", ecosystem, "-"]
        done = subprocess.run(words, input=lines, capture_output=True, check=True)
        assert done.stdout.decode().split() == list(told), ecosystem
