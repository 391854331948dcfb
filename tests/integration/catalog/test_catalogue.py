"""The curated catalogue over a real database, server and command line: search, show, adopt with the real gpgv, refuse
what is old, keep organisations apart, and take the edition that content brings."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests import vendorkeys
from tests.support_cli import served
from tests.support_fleet import OWNER
from tests.vendorkeys import Vendor, packages, release
from tools.catalogue import MADE

from brakeline.catalog.curated.definitions import read
from brakeline.catalog.curated.model import Catalogue, NotVouched, Trust
from brakeline.catalog.curated_api import router as curated_router
from brakeline.catalog.curation import CurationService
from brakeline.catalog.shipped import Editions
from brakeline.cli.__main__ import main
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden
from brakeline.platform.database import Database
from brakeline.protocol.software import read_package
from brakeline.protocol.software_rules import problem
from brakeline.server.app import make_api
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import ROLE_PERMISSIONS, system_principal

Run = Callable[..., Awaitable[tuple[int, str, str]]]
DAY = 86_400
PLACE = "main/binary-amd64/Packages"


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    vendorkeys.needed()
    with tempfile.TemporaryDirectory(prefix="bv") as home:
        made = Vendor(Path(home) / "g")
        made.key("good", at=int(time.time()) - 100 * DAY)
        yield made
        made.close()


@pytest.fixture
def edition(vendor: Vendor) -> Catalogue:
    """What ships, with the test's own vendor in the place of Grafana's."""
    found = read(MADE.read_bytes(), "a test's")
    mine = Trust(found.products[0].trust.by, (vendor.fingerprint("good"),))
    return replace(found, products=tuple(replace(p, trust=mine) if p.name == "grafana" else p for p in found.products))


@pytest.fixture
def curation(database: Database, clock: ManualClock, edition: Catalogue) -> CurationService:
    return CurationService(database, clock, lambda: edition)


def files(vendor: Vendor, version: str, at_s: int) -> dict[str, bytes]:
    listing = packages("grafana", version, b"x" * 1000)
    index = vendor.inline(vendor.fingerprint("good"), release({PLACE: listing}, at_s), at_s)
    return {"listing": listing, "index": index, "key": vendor.public()}


def upload(parts: dict[str, bytes]) -> io.BytesIO:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, data in parts.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    target.seek(0)
    return target


@pytest.fixture
async def run(
    curation: CurationService, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> AsyncIterator[Run]:  # fmt: skip
    api = make_api((curated_router,))
    api.dependency_overrides[current_principal] = lambda: OWNER
    api.state.clock, api.state.curation = clock, curation

    async def command(*words: str | Path) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ["software", "catalogue", *(str(w) for w in words)])
        return code, *capsys.readouterr()

    async with served(api, tmp_path, monkeypatch):
        yield command


async def test_from_a_search_to_a_draft_that_authors_could_sign(run: Run, vendor: Vendor, tmp_path: Path) -> None:
    code, out, err = await run("list", "grafana", "apt")
    assert (code, "Grafana Labs" in out, "Wireshark" in out, "Edition 20" in err) == (0, True, False, True)
    code, out, _ = await run("show", "grafana")
    assert (code, "listing: https://apt.grafana.com/dists/stable/main/" in out, "--- install" in out) == (0, True, True)
    words = ["adopt", "grafana"]
    for role, data in files(vendor, "12.3.0", 0).items():
        (tmp_path / role).write_bytes(data)
        words.append(f"{role}={tmp_path / role}")
    code, _, err = await run(*words[:3], "--architecture", "amd64")
    assert (code, "is missing: fetch https://apt.grafana.com/dists/stable/InRelease" in err) == (2, True)
    draft = tmp_path / "grafana.json"
    code, _, err = await run(*words, "--architecture", "amd64", "--out", draft)
    assert (code, "The vendor's signed index names it" in err, "software sign" in err) == (0, True, True)
    assert problem(read_package(draft.read_bytes())) == ""
    assert "12.3.0" in (await run("list", "grafana labs"))[1]
    (tmp_path / "listing").write_bytes(packages("grafana", "99", b"evil"))
    code, _, err = await run(*words, "--architecture", "amd64", "--out", tmp_path / "no.json")
    assert (code, "fetch both again" in err, (tmp_path / "no.json").exists()) == (2, True, False)
    code, _, err = await run("show", "nothing-of-this-name")
    assert (code != 0, "no such product" in err) == (True, True)


async def test_what_was_seen_is_never_taken_for_news_again(curation: CurationService, vendor: Vendor) -> None:
    await curation.adopt(OWNER, "grafana", "amd64", "", upload(files(vendor, "12.3.0", 0)))
    with pytest.raises(NotVouched, match="older than one that was seen here before"):
        await curation.adopt(OWNER, "grafana", "amd64", "", upload(files(vendor, "12.2.0", day_now() - DAY)))
    with pytest.raises(
        NotVouched, match="older than one that was seen here before"
    ):  # asked for by name: the same index
        await curation.adopt(OWNER, "grafana", "amd64", "12.2.0", upload(files(vendor, "12.2.0", day_now() - DAY)))
    with pytest.raises(NotVouched, match=r"12\.3\.0 was adopted here already"):  # signed today, and without the newest
        await curation.adopt(OWNER, "grafana", "amd64", "", upload(files(vendor, "12.1.0", 0)))
    wanted = await curation.adopt(OWNER, "grafana", "amd64", "12.1.0", upload(files(vendor, "12.1.0", 0)))
    assert wanted.version == "12.1.0"
    shown = await curation.show(OWNER, "grafana")
    assert {a.version for a in shown.adoptions} == {"12.3.0", "12.1.0"}
    assert shown.row.adopted == "12.3.0"


def day_now() -> int:
    return int(time.time())


async def test_organisations_see_no_other_s_adoptions_and_lookers_adopt_nothing(
    curation: CurationService, vendor: Vendor
) -> None:
    await curation.adopt(OWNER, "grafana", "amd64", "", upload(files(vendor, "12.3.0", 0)))
    other = system_principal("tn_other", "test")
    assert (await curation.show(other, "grafana")).adoptions == ()
    viewer = replace(OWNER, permissions=ROLE_PERMISSIONS["viewer"])
    assert (await curation.show(viewer, "grafana")).row.adopted == "12.3.0"
    with pytest.raises(Forbidden):
        await curation.adopt(viewer, "grafana", "amd64", "", upload({}))


def test_content_brings_another_edition_and_takes_it_back(tmp_path: Path) -> None:
    plain = json.loads(MADE.read_text())
    newer = json.dumps({**plain, "edition": "2027.1.1", "products": plain["products"][:3]}).encode()
    brought: list[tuple[str, bytes]] = []
    editions = Editions(MADE, lambda: brought[-1] if brought else None)
    assert editions().origin == "came with this server"
    brought.append(("1.6.0-aa", newer))
    assert (editions().edition, editions().origin, len(editions().products)) == ("2027.1.1", "content 1.6.0-aa", 3)
    brought.append(("1.7.0-bb", b'{"format": 9}'))  # no such thing is published; if it is there all the same
    assert editions().origin == "came with this server"
    brought.clear()
    assert editions().origin == "came with this server"
