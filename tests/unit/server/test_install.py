"""The enrolment line and script: what stands in them, and that nothing else can be put into them."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from brakeline.core.errors import Invalid
from brakeline.platform.clock import SystemClock
from brakeline.platform.settings import Settings
from brakeline.platform.tls import ensure_tls
from brakeline.releases.shipping import Kit
from brakeline.server.install import Installer, enrol_line


@pytest.fixture
def installer(tmp_path: Path) -> Installer:
    tls = ensure_tls(tmp_path, (), SystemClock())

    async def kit() -> Kit:
        return Kit(b"kit", "c" * 64)

    return Installer(Settings(data_dir=tmp_path, public_names=("patch.example",)), 8443, tls, kit)


def test_the_line_dials_the_address_by_which_it_was_asked_for(installer: Installer) -> None:
    line = installer.one_liner("et_1", "10.0.0.7:8443")
    assert line.startswith("s=$(curl -fsSk -m 60 --pinnedpubkey 'sha256//")
    assert "https://10.0.0.7:8443/enrol.sh)" in line
    assert line.endswith("| sudo sh -s -- --token et_1")
    assert "\n" not in line


def paste(line: str, shell: str, directory: Path, curl: str) -> subprocess.CompletedProcess[str]:
    """Run the line in `shell`, with a curl that runs `curl` instead and a sudo that is root already."""
    for name, text in (("curl", curl), ("sudo", 'exec "$@"')):
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
    environment = {"PATH": f"{directory}:/usr/bin:/bin"}
    return subprocess.run([shell, "-c", line], env=environment, capture_output=True, text=True, timeout=20, check=False)


SCRIPT_SENT = r"""cat <<'END'
a='back\nslash  and "quotes"'
printf '%s\n' "$a" "$*"
exit 6
END
"""


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_line_runs_the_script_as_it_was_sent_and_ends_as_it_ends(tmp_path: Path, shell: str) -> None:
    done = paste(enrol_line("sha256//x=", "h:1", "et_1"), shell, tmp_path, SCRIPT_SENT)
    assert done.stdout == 'back\\nslash  and "quotes"\n--token et_1\n'
    assert done.returncode == 6


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_line_fails_and_runs_nothing_when_curl_fails_even_half_way(tmp_path: Path, shell: str) -> None:
    curl = 'echo "echo begun"; echo "curl: (18) transfer closed" >&2; exit 18'
    done = paste(enrol_line("sha256//x=", "h:1", "et_1"), shell, tmp_path, curl)
    assert (done.returncode, done.stdout) == (18, "")
    assert "transfer closed" in done.stderr


def test_whoever_takes_the_line_and_says_nothing_is_given_up_with_a_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        line = enrol_line("sha256//x=", f"127.0.0.1:{silent.getsockname()[1]}", "et_1")
        assert " -m 60 " in line
        done = paste(line.replace(" -m 60 ", " -m 1 "), "sh", tmp_path, 'exec /usr/bin/curl "$@"')
    assert (done.returncode, done.stdout) == (28, "")
    assert "timed out" in done.stderr


@pytest.mark.parametrize("host", ["", "a b", "x';reboot;'", "$(id)", "a/b", "[zz]", "a:123456", "-x", "a\nb"])
async def test_an_impossible_host_is_not_put_into_line_or_script(installer: Installer, host: str) -> None:
    assert "https://patch.example:8443/enrol.sh" in installer.one_liner("et_1", host)
    with pytest.raises(Invalid):
        await installer.script(host)


async def test_the_script_pins_authority_and_kit(installer: Installer) -> None:
    script = (await installer.script("[::1]:8443")).decode()
    assert "SERVER_URL='https://[::1]:8443'" in script
    assert (await installer.kit()).sha256 in script
    assert "BEGIN CERTIFICATE" in script
