"""What the console says of a Windows endpoint: what waits, what stands open, and where that is not known."""

from __future__ import annotations

import json

import pytest
from tests.integration.console.test_real_services import House, house  # noqa: F401 - the fixture
from tests.support_feeds import importing_of
from tests.support_fleet import TENANT, update
from tests.support_vendors import fix, month

from brakeline.agent.facts import of_windows
from brakeline.protocol.messages import Package

ELEVEN = {"ProductName": "Windows 10 Pro", "DisplayVersion": "24H2", "CurrentBuildNumber": "26100", "Version": "10.0"}


@pytest.mark.long
async def test_a_windows_endpoint_is_shown_and_nowhere_counts_as_clean(house: House) -> None:  # noqa: F811
    facts = of_windows(ELEVEN, "pc", "amd64", False, "0.1")
    endpoint = await house.fleet.enrol("pc", owner=house.owner, facts=facts)
    packages = [Package("acme-reader", "x64", "1.0", "Acme Reader", "1.0", "ii", "programs.json", "windows")]
    await house.fleet.inventory(endpoint, packages, [update("acme-reader", "1.0", "2.0", security=False)])
    page = await house.page(f"/endpoints/{endpoint}")
    assert "Not assessed: Windows 11 Pro 24H2: no advisory is matched" in page
    assert "not assessed yet" in page  # the figure of findings
    assert "not run on the real system" in page
    assert "none known to be exploited" not in page
    assert "acme-reader" in page
    listed = await house.page("/endpoints")
    assert 'title="not assessed">?' in listed  # where the number of its findings would stand


async def test_what_stands_open_on_a_windows_names_the_build_and_the_update_that_close_it(house: House) -> None:  # noqa: F811
    ten = {"ProductName": "Windows 10 Pro", "CurrentBuildNumber": "19045", "Version": "10.0", "UBR": "4169"}
    endpoint = await house.fleet.enrol("pc", owner=house.owner, facts=of_windows(ten, "pc", "amd64", False, "0.1"))
    await house.fleet.inventory(endpoint, [])
    assert "no month of Microsoft that speaks of Windows 10 Pro is loaded" in await house.page(f"/endpoints/{endpoint}")
    importing = importing_of(
        house.database, house.clock, house.advisories, house.owner.tenant_id if house.owner else TENANT
    )
    said = month("2024-Mar", "2024-03-12", fix("5035845", "10.0.19045.4170", "", "11929"))
    await importing.import_file(house.owner, "msrc-2024-mar", json.dumps(said).encode())
    page = await house.page(f"/endpoints/{endpoint}")
    assert "Not assessed: Windows 10 Pro" not in page
    for words in ("CVE-2024-21407", "10.0.19045.4169", "10.0.19045.4170", "closed by KB5035845"):
        assert words in page
    assert "CVE-2024-21407" in await house.page("/vulnerabilities")
