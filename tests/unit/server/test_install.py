"""The enrolment line and script: what stands in them, and that nothing else can be put into them."""

from __future__ import annotations

from pathlib import Path

import pytest

from brakeline.core.errors import Invalid
from brakeline.platform.clock import SystemClock
from brakeline.platform.settings import Settings
from brakeline.platform.tls import ensure_tls
from brakeline.server.install import Installer


@pytest.fixture
def installer(tmp_path: Path) -> Installer:
    tls = ensure_tls(tmp_path, (), SystemClock())
    return Installer(Settings(data_dir=tmp_path, public_names=("patch.example",)), 8443, tls)


def test_the_line_dials_the_address_by_which_it_was_asked_for(installer: Installer) -> None:
    line = installer.one_liner("et_1", "10.0.0.7:8443")
    assert line.startswith("curl -fsSk --pinnedpubkey 'sha256//")
    assert line.endswith("https://10.0.0.7:8443/enrol.sh | sudo sh -s -- --token et_1")


@pytest.mark.parametrize("host", ["", "a b", "x';reboot;'", "$(id)", "a/b", "[zz]", "a:123456", "-x", "a\nb"])
async def test_an_impossible_host_is_not_put_into_line_or_script(installer: Installer, host: str) -> None:
    assert "https://patch.example:8443/enrol.sh" in installer.one_liner("et_1", host)
    with pytest.raises(Invalid):
        await installer.script(host)


async def test_the_script_pins_authority_and_agent(installer: Installer) -> None:
    script = (await installer.script("[::1]:8443")).decode()
    assert "SERVER_URL='https://[::1]:8443'" in script
    assert (await installer.bundle()).sha256 in script
    assert "BEGIN CERTIFICATE" in script
