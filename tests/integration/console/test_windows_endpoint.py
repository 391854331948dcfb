"""What the console says of a Windows endpoint: what waits, and that what stands open is not known."""

from __future__ import annotations

from tests.integration.console.test_real_services import House, house  # noqa: F401 - the fixture
from tests.support_fleet import update

from brakeline.agent.facts import of_windows
from brakeline.protocol.messages import Package

ELEVEN = {"ProductName": "Windows 10 Pro", "DisplayVersion": "24H2", "CurrentBuildNumber": "26100", "Version": "10.0"}


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
