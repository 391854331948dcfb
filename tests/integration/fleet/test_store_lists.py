"""Lists, filters and keyset paging against real PostgreSQL: every key of the filter language, every sort order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from brakeline.core.clock import ManualClock
from brakeline.core.errors import Forbidden, Invalid, NotFound
from brakeline.fleet.cell import CellIdentity
from brakeline.fleet.decide import Held
from brakeline.fleet.model import CounterState
from brakeline.fleet.query import KEYS
from brakeline.fleet.service import FleetService
from brakeline.fleet.sessions import Session
from brakeline.platform.bus import MemoryBus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.protocol.digests import inventory_digest
from brakeline.protocol.messages import (
    CheckIn,
    EnrolRequest,
    Facts,
    Health,
    Inventory,
    LauncherReport,
    Package,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Status,
    UpdateState,
)
from brakeline.tenancy.model import PERMISSIONS, Principal

OWNER = Principal("te_1", "pe_1", "person", "Olga", PERMISSIONS)
OTHER = Principal("te_2", "pe_2", "person", "Otto", PERMISSIONS)
VIEWER = replace(OWNER, permissions=frozenset({"endpoint.read"}))
DEBIAN = Facts("web_1", "debian", "12", "Debian GNU/Linux 12", "6.1.0-40", "amd64", "server", "0.1.0")
SAID = LauncherReport("0.1.0", "1.1-b", "1.0-a", trial="1.1-b", quarantined=("0.9-z",))


class Fleet:
    """A small fleet, made by the use cases."""

    def __init__(self, db: Database, clock: ManualClock, directory: Path) -> None:
        self.clock = clock
        cell = CellIdentity.load(directory / "cell.key")
        self.service = FleetService(db, clock, IdMaker(clock), MemoryBus(), cell)
        self.keys = 0

    async def add(
        self, facts: Facts, who: Principal = OWNER, region: str = "eu", tags: tuple[str, ...] = ()
    ) -> Session:
        token = await self.service.create_token(who, region=region, tags=tags)
        self.keys += 1
        key = self.keys.to_bytes(32, "big")
        request = EnrolRequest(token.token, key.hex(), facts.hostname, facts)
        reply = await self.service.enrol(request, key, "boot-1", 1, "digest")
        self.clock.advance(1)
        return await self.service.session(reply.endpoint_id)

    async def inventory(self, session: Session, status: Status, *packages: Package) -> None:
        sent = Inventory(0, session.held.sequence + 1, inventory_digest(packages), packages, (), status)
        assert not (await self.service.apply_inventory(session, sent)).resync

    async def found(self, q: str, who: Principal = OWNER) -> set[str]:
        return {e.hostname for e in (await self.service.list_endpoints(who, q)).items}


@pytest.fixture
async def fleet(database: Database, clock: ManualClock, tmp_path: Path) -> Fleet:
    """web_1: patched, heard. web-2: a security update, reboot due, unhealthy. box: nothing known. alien: elsewhere."""
    made = Fleet(database, clock, tmp_path)
    web1 = await made.add(DEBIAN, tags=("lab", "web"))
    web2 = await made.add(replace(DEBIAN, hostname="web-2", os_version="11", kernel="5.10", agent_version="0.2.0"))
    await made.add(Facts("box", "ubuntu", "24.04", "Ubuntu 24.04", "6.8", "arm64", "laptop", "0.1.0"), region="us")
    await made.add(replace(DEBIAN, hostname="alien"), OTHER)
    curl = Package("curl", "amd64", "1.0", "curl", "1.0")
    clean = Status(DEBIAN, (), RebootNeed(False), PackageManagerHealth(True))
    await made.inventory(web1, clean, curl)
    update = PendingUpdate("curl", "amd64", "1.0", "1.1", "Debian-Security:11", True, UpdateState.AVAILABLE)
    held = replace(update, name="vim", security=False, state=UpdateState.HELD, reason="held by an administrator")
    facts2 = replace(DEBIAN, hostname="web-2", os_version="11", kernel="5.10", agent_version="0.2.0")
    ill = PackageManagerHealth(False, ("foo: half-installed (iHR)",))
    await made.inventory(web2, Status(facts2, (update, held), RebootNeed(True, ("kernel",)), ill), curl)
    made.service.record_check_in(
        web1, "boot-1", CheckIn("0.1.0", 1, web1.held.digest, Health(("ssh.service",)), launcher=SAID)
    )
    await made.service.flush()
    clock.advance(120)
    return made


CASES = {
    "": {"web_1", "web-2", "box"},
    "os:debian": {"web_1", "web-2"},
    "os:debian-12": {"web_1"},
    "os:ubuntu,debian-11": {"box", "web-2"},
    "-os:debian": {"box"},
    "tag:lab": {"web_1"},
    "-tag:lab": {"web-2", "box"},
    "region:us": {"box"},
    "state:active": {"web_1", "web-2", "box"},
    "state:retired": set(),
    "missing:security": {"web-2"},
    "missing:any": {"web-2"},
    "missing:none": {"web_1"},  # box has no inventory: unknown is not none
    "-missing:none": {"web-2", "box"},
    "seen:<1h": {"web_1"},
    "seen:<1m": set(),
    "seen:>1m": {"web_1", "web-2", "box"},
    "enrolled:<1h": {"web_1", "web-2", "box"},
    "enrolled:>1d": set(),
    "reboot:yes": {"web-2"},
    "reboot:no": {"web_1", "box"},
    "healthy:no": {"web-2"},
    "healthy:yes": {"web_1", "box"},
    "asleep:no": {"web_1", "web-2", "box"},
    "class:laptop": {"box"},
    "agent:0.2.0": {"web-2"},
    "kernel:6.1.0-40": {"web_1"},
    "arch:arm64": {"box"},
    "host:web_1": {"web_1"},  # _ is a letter here
    "host:web*": {"web_1", "web-2"},
    "host:web": set(),
    "id:ep_nothing": set(),
    "package:curl": {"web_1", "web-2"},
    "package:curl=1.1": set(),
    "update:curl": {"web-2"},
    "update:curl=1.1": {"web-2"},
    "launcher:yes": {"web_1"},
    "launcher:no": {"web-2", "box"},
    "running:1.1-b": {"web_1"},
    "running:1.0-a": set(),
    "-running:1.1-b": {"web-2", "box"},
    "confirmed:1.0-a,1.1-b": {"web_1"},
    "probation:1.1-b": {"web_1"},
    "quarantined:0.9-z": {"web_1"},
    "quarantined:0.9": set(),
    "WEB": {"web_1", "web-2"},
    "%": set(),  # nor is % a wildcard
    '"ubuntu 24"': {"box"},
    "-web os:ubuntu,debian": {"box"},
}


async def test_every_filter_finds_what_it_says(fleet: Fleet) -> None:
    for q, hosts in CASES.items():
        assert await fleet.found(q) == hosts, q
        assert await fleet.service.count_matching(OWNER, q) == len(hosts), q
    assert {k for k in KEYS if not any(f"{k}:" in q for q in CASES)} == set(), "a key without a case"


async def test_an_id_is_found_by_its_beginning_and_never_by_chance(fleet: Fleet) -> None:
    (box,) = (await fleet.service.list_endpoints(OWNER, "host:box")).items
    assert await fleet.found(box.id.lower()) == {"box"}
    assert await fleet.found("ep_") == {"web_1", "web-2", "box"}
    for start in range(3, len(box.id) - 3):  # any word may stand in somebody's id
        assert await fleet.found(f'"{box.id[start : start + 4]}"') == set()
    assert await fleet.found("e") == {"web_1", "web-2"}, "of the host names; not the e of every id"


async def test_a_tenant_sees_its_own_endpoints_only(fleet: Fleet) -> None:
    assert await fleet.found("", OTHER) == {"alien"}
    (alien,) = (await fleet.service.list_endpoints(OTHER)).items
    with pytest.raises(NotFound):
        await fleet.service.get_endpoint(OWNER, alien.id)
    with pytest.raises(NotFound):
        await fleet.service.retire(OWNER, alien.id)
    assert (await fleet.service.counts(OTHER)).endpoints == 1
    assert await fleet.service.updates(OTHER) == []


async def test_paging_by_every_sort_order_shows_each_endpoint_once(fleet: Fleet) -> None:
    for n in range(9):
        await fleet.add(replace(DEBIAN, hostname=f"same-{n % 3}"))
    for sort in ("host", "seen", "enrolled", "missing"):
        for direction in ("", "-"):
            seen, after = [], None
            while True:
                page = await fleet.service.list_endpoints(OWNER, sort=direction + sort, after=after, limit=5)
                seen += [e.id for e in page.items]
                assert page.total == 12
                after = page.next
                if after is None:
                    break
            assert len(seen) == len(set(seen)) == 12, (sort, direction)
    with pytest.raises(Invalid, match="unknown sort"):
        await fleet.service.list_endpoints(OWNER, sort="colour")


@pytest.mark.parametrize("column", ["enrolled", "seen"])
async def test_endpoints_that_share_a_millisecond_are_each_shown_once(fleet: Fleet, column: str) -> None:
    for n in range(9):
        session = await fleet.add(replace(DEBIAN, hostname=f"h-{n}"))
        fleet.service.record_check_in(session, "boot-1", CheckIn("0.1", 0, "", Health()))
    await fleet.service.flush()
    async with fleet.service.db.tenant(OWNER.tenant_id) as conn:
        await conn.execute(
            """UPDATE brakeline.endpoint e SET enrolled_at = '2026-11-26 10:00:00.1234Z'::timestamptz
                 + n.number * interval '70 microseconds'
               FROM (SELECT endpoint_id, row_number() OVER (ORDER BY hostname DESC) AS number
                     FROM brakeline.endpoint) n WHERE n.endpoint_id = e.endpoint_id"""
        )
        await conn.execute(
            """UPDATE brakeline.presence p SET last_seen = e.enrolled_at FROM brakeline.endpoint e
               WHERE e.endpoint_id = p.endpoint_id"""
        )
    for direction in ("", "-"):
        seen, after = [], None
        while True:
            page = await fleet.service.list_endpoints(OWNER, sort=direction + column, after=after, limit=5)
            seen += [e.id for e in page.items]
            after = page.next
            if after is None:
                break
        assert len(seen) == len(set(seen)) == 12, direction


async def test_updates_software_and_counts_across_the_fleet(fleet: Fleet) -> None:
    curl, vim = await fleet.service.updates(OWNER)
    assert (curl.name, curl.security, curl.endpoints, curl.available) == ("curl", True, 1, 1)
    assert (vim.name, vim.available) == ("vim", 0)
    assert [u.name for u in await fleet.service.updates(OWNER, security_only=True)] == ["curl"]
    (hit,) = await fleet.service.software(OWNER, "cur")
    assert (hit.version, hit.endpoints) == ("1.0", 2)
    counts = await fleet.service.counts(OWNER)
    assert (counts.endpoints, counts.reporting, counts.with_security, counts.without_inventory) == (3, 1, 1, 1)


async def test_permissions_are_asked_for(fleet: Fleet) -> None:
    (box,) = (await fleet.service.list_endpoints(VIEWER, "host:box")).items
    for act in (
        fleet.service.create_token(VIEWER),
        fleet.service.retire(VIEWER, box.id),
        fleet.service.set_tags(VIEWER, box.id, ("x",)),
        fleet.service.scan_now(VIEWER, box.id),
    ):
        with pytest.raises(Forbidden):
            await act


async def test_tags_and_tokens_are_checked(fleet: Fleet) -> None:
    (box,) = (await fleet.service.list_endpoints(OWNER, "host:box")).items
    assert await fleet.service.set_tags(OWNER, box.id, ("b", "a", "b")) == ("a", "b")
    assert await fleet.found("tag:a tag:b") == {"box"}
    for bad in (("Upper",), ("with space",), ("x" * 80,), tuple(f"t{n}" for n in range(40))):
        with pytest.raises(Invalid):
            await fleet.service.set_tags(OWNER, box.id, bad)
    for how in ({"uses": 0}, {"ttl_s": 0}, {"ttl_s": 10**9}, {"region": "No Where"}):
        with pytest.raises(Invalid):
            await fleet.service.create_token(OWNER, **how)  # type: ignore[arg-type]
    made = await fleet.service.create_token(OWNER, tags=("z",), uses=3)
    listed = (await fleet.service.list_tokens(OWNER))[0]
    assert listed == made.record
    assert made.token not in repr(listed)
    assert await fleet.service.list_tokens(OTHER) != ()
    with pytest.raises(NotFound):
        await fleet.service.revoke_token(OTHER, made.record.id)


async def test_presence_never_goes_back_in_time(fleet: Fleet, database: Database) -> None:
    (web1,) = (await fleet.service.list_endpoints(OWNER, "host:web_1")).items
    session = await fleet.service.session(web1.id)
    check_in = CheckIn("0.1.0", 1, session.held.digest, Health())
    fleet.service.record_check_in(session, "boot-1", check_in)
    await fleet.service.flush()
    newest = (await fleet.service.presence("te_1"))[web1.id].last_check_in_ms
    fleet.clock.ms -= 3_600_000  # the server's clock was set back
    fleet.service.record_check_in(session, "boot-1", check_in)
    await fleet.service.flush()
    assert (await fleet.service.presence("te_1"))[web1.id].last_check_in_ms == newest


async def test_the_agent_that_runs_is_the_one_that_checked_in_last(fleet: Fleet) -> None:
    """An update of the agent shows at once, also where no inventory ever comes."""
    (web1,) = (await fleet.service.list_endpoints(OWNER, "host:web_1")).items
    session = await fleet.service.session(web1.id)
    fleet.service.record_check_in(session, "boot-1", CheckIn("9.9.9", 1, session.held.digest, Health()))
    await fleet.service.flush()
    (now,) = (await fleet.service.list_endpoints(OWNER, "agent:9.9.9")).items
    assert (now.id, now.agent_version) == (web1.id, "9.9.9")
    detail = await fleet.service.get_endpoint(OWNER, web1.id)
    assert detail.facts.agent_version == "9.9.9"


async def test_a_session_is_loaded_as_it_was_left(fleet: Fleet, database: Database, tmp_path: Path) -> None:
    (web1,) = (await fleet.service.list_endpoints(OWNER, "host:web_1")).items
    session = await fleet.service.session(web1.id)
    await fleet.service.take(session, "boot-2", 77, "later")
    await fleet.service.renew_secret(session)
    fresh = Fleet(database, fleet.clock, tmp_path)
    loaded = await fresh.service.session(web1.id)
    assert loaded.counter == CounterState("boot-2", ((77, "later"),), ("boot-1",))
    assert loaded.held == session.held != Held()
    assert loaded.secret == b""
    assert loaded.identity == session.identity
