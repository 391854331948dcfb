"""What endpoints download: bit-identical each time, nothing of the server inside, nothing unquoted in the script."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import brakeline
from brakeline.core.errors import Invalid
from brakeline.releases import zipapp
from brakeline.server.enrol_script import enrol_script

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SHA = "a" * 64


def test_the_same_source_gives_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "brakeline"
    shutil.copytree(Path(brakeline.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    program = (
        "import hashlib, pathlib, sys; from brakeline.releases import zipapp as b;"
        "print(hashlib.sha256(b.build(pathlib.Path(sys.argv[1]))).hexdigest())"
    )
    elsewhere = subprocess.run([sys.executable, "-c", program, str(copy)], capture_output=True, text=True, check=True)
    here = zipapp.build()
    assert elsewhere.stdout.strip() == hashlib.sha256(here).hexdigest()
    assert zipapp.build() == here


def test_only_the_endpoints_parts_go_in() -> None:
    with zipfile.ZipFile(io.BytesIO(zipapp.build())) as archive:
        names = archive.namelist()
        assert {i.date_time for i in archive.infolist()} == {zipapp.FIXED_TIME}
    parts = {n.split("/")[1] for n in names if n.count("/") > 1}
    assert parts == {"core", "trust", "protocol", "agent"}
    assert names == sorted(names)


def test_the_installer_has_everything_inside_and_is_valid_shell(tmp_path: Path) -> None:
    text = enrol_script("https://10.0.0.5:8443", PEM, SHA)
    assert not re.search("@[A-Z0-9_]+@", text)
    assert SHA in text
    assert "MIIB" in text
    assert "MemoryMax=" in text
    script = tmp_path / "enrol.sh"
    script.write_text(text)
    subprocess.run(["sh", "-n", str(script)], check=True)


@pytest.mark.parametrize(
    ("url", "pem", "sha"),
    [
        ("https://h';reboot;'", PEM, SHA),
        ("http://h", PEM, SHA),
        ("https://h:8443/x", PEM, SHA),
        ("https://h", "x", SHA),
        ("https://h", PEM + "PEM\nreboot\n" + PEM, SHA),
        ("https://h", PEM, "a"),
    ],
)
def test_nothing_strange_gets_into_a_script_that_root_runs(url: str, pem: str, sha: str) -> None:
    with pytest.raises(Invalid):
        enrol_script(url, pem, sha)


def allow_restarts(tmp_path: Path, number: str) -> subprocess.CompletedProcess[str]:
    """That one function of the script, over a directory of the test's own."""
    text = enrol_script("https://10.0.0.5:8443", PEM, SHA)
    function = text[text.index("allow_restarts() {") : text.index('if [ "$TOKEN" = uninstall ]')]
    script = f"set -eu\nPYTHON={sys.executable}\nETC={tmp_path}\n{function}\nallow_restarts {number}\n"
    return subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False)


def test_allowing_restarts_keeps_what_root_has_said_about_people(tmp_path: Path) -> None:
    file = tmp_path / "restart.json"
    file.write_text(json.dumps({"restarts_a_day": 1, "warn_min": 15, "deferrals": 2}))
    assert allow_restarts(tmp_path, "3").returncode == 0
    assert json.loads(file.read_text()) == {"restarts_a_day": 3, "warn_min": 15, "deferrals": 2}
    assert file.stat().st_mode & 0o777 == 0o644
    file.unlink()
    assert allow_restarts(tmp_path, "1").returncode == 0
    assert json.loads(file.read_text()) == {"restarts_a_day": 1}


@pytest.mark.parametrize("damaged", ['{"warn_min": 15', "[]"])
def test_terms_that_cannot_be_read_are_left_as_they_are(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "restart.json").write_text(damaged)
    done = allow_restarts(tmp_path, "3")
    assert done.returncode == 2
    assert "what to do: mend or remove it" in done.stderr
    assert (tmp_path / "restart.json").read_text() == damaged


AGENT = """#!/bin/sh
case "$*" in "enrol --help") echo "$KNOWS"; exit ;; esac
echo "arguments $*"
echo "stdin $(cat)"
for word in "$@"; do case "$word" in /dev/fd/*) echo "proxy $(cat "$word")" ;; esac; done
exit 6
"""


def enrolled(tmp_path: Path, token: str, proxy: str, knows: str = "- for a line of stdin") -> list[str]:
    """What an agent is given by that one function of the script."""
    text = enrol_script("https://10.0.0.5:8443", PEM, SHA)
    function = text[text.index("enrolled() {") : text.index('if [ "$TOKEN" = uninstall ]')]
    (tmp_path / "brakeline-agent").write_text(AGENT)
    (tmp_path / "brakeline-agent").chmod(0o755)
    values = f"SERVER_URL=https://h ETC=/etc/b FORCE=--force TOKEN='{token}' PROXY='{proxy}' KNOWS='{knows}'"
    script = f"set -eu\nexport {values} PATH={tmp_path}:$PATH\n{function}\nenrolled || exit $?\n"
    done = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 6, "what the agent says of itself is the script's"
    return done.stdout.splitlines()


PLACES = "--ca /etc/b/ca.pem --user brakeline --helper-socket /run/brakeline/helper.sock --force"
SECRET_PROXY = "http://ann:s3cret%40$x@p:3128"


@pytest.mark.parametrize(
    ("proxy", "shown", "read"),
    [
        (SECRET_PROXY, " --proxy /dev/fd/3", [f"proxy {SECRET_PROXY}"]),
        ("/root/proxy", " --proxy /root/proxy", []),
        ("none", " --proxy none", []),
        ("", "", []),
    ],
)
def test_neither_the_token_nor_a_password_stands_in_the_list_of_processes(
    tmp_path: Path, proxy: str, shown: str, read: list[str]
) -> None:
    assert enrolled(tmp_path, "et_1", proxy) == [
        f"arguments enrol --server https://h --token - {PLACES}{shown}", "stdin et_1", *read,
    ]  # fmt: skip


def test_the_agent_of_an_older_package_is_given_the_token_as_it_knows_it(tmp_path: Path) -> None:
    said = enrolled(tmp_path, "et_1", "", knows="enrolment token, et_")
    assert said[0] == f"arguments enrol --server https://h --token et_1 {PLACES}"


def test_the_program_that_fetches_the_kit_is_told_of_the_proxy_by_its_environment() -> None:
    """Which its owner alone may read."""
    text = enrol_script("https://10.0.0.5:8443", PEM, SHA)
    (line,) = [line for line in text.splitlines() if line.endswith("|| exit 4")]
    assert line.startswith('BRAKELINE_PROXY="$PROXY" "$PYTHON" -I - "$SERVER_URL"')
    assert line.count("$PROXY") == 1
