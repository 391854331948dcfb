"""The agent plane over real TLS and real PostgreSQL: enrolment, check-ins, inventory, and every kind of bad input."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.support_agent import FACTS, AgentTwin, Response, packages
from tests.support_server import OWNER, Plane, running_plane

from brakeline.fleet.model import EndpointState, Readings
from brakeline.fleet.store.inventories import lock_held
from brakeline.platform.database import Database
from brakeline.protocol import auth, routes
from brakeline.protocol.codec import encode
from brakeline.protocol.messages import (
    Candidate,
    Goodbye,
    Harms,
    Health,
    Outcome,
    PackageManagerHealth,
    PendingUpdate,
    RebootNeed,
    Results,
    RunEntry,
    RunKind,
    RunPart,
    Settings,
    Status,
    TransactionResult,
    UpdateRef,
    UpdateState,
)
from brakeline.server.agent_plane import Limits

run = asyncio.to_thread


@pytest.fixture
async def plane(database: Database, tmp_path: Path) -> AsyncIterator[Plane]:
    async with running_plane(database, tmp_path) as running:
        yield running


# --- the happy path ------------------------------------------------------------------------------------------------


async def test_an_endpoint_enrols_checks_in_and_sends_its_inventory(plane: Plane) -> None:
    twin = plane.agent()
    reply = await run(twin.enrol, await plane.token(region="eu", tags=("lab",)))
    assert reply.region == "eu"
    assert reply.cell_key == plane.fleet.cell.public_hex

    first = await run(twin.check_in)
    assert first.status == 200
    assert first.json["settings"]["mode"] == "assess"
    assert (await run(twin.check_in)).status == 304

    update = PendingUpdate("package-00000", "amd64", "1.0", "1.1", "Debian-Security:12", True, UpdateState.AVAILABLE)
    status = Status(FACTS, (update,), RebootNeed(True, ("kernel",)), PackageManagerHealth(True))
    assert (await run(lambda: twin.send_inventory(packages(50), status=status))).json["resync"] is False

    detail = await plane.fleet.get_endpoint(OWNER, reply.endpoint_id)
    assert detail.packages == 50
    assert detail.summary.tags == ("lab",)
    assert detail.summary.pending_security == 1
    assert detail.reboot.reasons == ("kernel",)
    page = await plane.fleet.list_endpoints(OWNER, "os:debian region:eu missing:security reboot:yes")
    assert [e.id for e in page.items] == [reply.endpoint_id]


async def test_presence_is_written_by_the_flush(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    await plane.fleet.flush()
    assert plane.fleet.presences.waiting == 0
    seen = await plane.fleet.presence(OWNER.tenant_id, [twin.endpoint_id])
    assert abs(seen[twin.endpoint_id].last_check_in_ms - time.time() * 1000) < 60_000
    assert seen[twin.endpoint_id].boot_id == twin.boot_id


# --- enrolment refused ---------------------------------------------------------------------------------------------


async def test_an_unknown_token_is_refused(plane: Plane) -> None:
    answer = await run(plane.agent().try_enrol, "et_0000")
    assert (answer.status, answer.code) == (401, routes.P_TOKEN_UNKNOWN)
    assert "enrol token create" in answer.json["hint"]


async def test_a_token_enrols_once(plane: Plane) -> None:
    token = await plane.token()
    await run(plane.agent().enrol, token)
    answer = await run(plane.agent().try_enrol, token)
    assert (answer.status, answer.code) == (401, routes.P_TOKEN_USED)
    assert len((await plane.fleet.list_endpoints(OWNER)).items) == 1


async def test_a_token_for_two_enrols_two_even_at_the_same_time(plane: Plane) -> None:
    token = await plane.token(uses=2)
    answers = await asyncio.gather(*(run(plane.agent().try_enrol, token) for _ in range(5)))
    assert sorted(a.status for a in answers) == [201, 201, 401, 401, 401]


async def test_an_expired_and_a_revoked_token_are_refused(plane: Plane) -> None:
    short = await plane.token(ttl_s=1)
    await asyncio.sleep(1.1)
    answer = await run(plane.agent().try_enrol, short)
    assert (answer.status, answer.code) == (401, routes.P_TOKEN_EXPIRED)
    made = await plane.fleet.create_token(OWNER)
    await plane.fleet.revoke_token(OWNER, made.record.id)
    answer = await run(plane.agent().try_enrol, made.token)
    assert (answer.status, answer.code) == (401, routes.P_TOKEN_EXPIRED)


async def test_enrolment_with_another_keys_signature_spends_no_token(plane: Plane) -> None:
    token = await plane.token()
    answer = await run(lambda: plane.agent().try_enrol(token, key=Ed25519PrivateKey.generate()))
    assert (answer.status, answer.code) == (401, routes.P_BAD_SIGNATURE)
    await run(plane.agent().enrol, token)  # still good


async def test_a_replayed_enrolment_is_refused_and_a_repeated_one_gives_the_same_endpoint(plane: Plane) -> None:
    """The answer to an enrolment may be lost: the same machine asks again, signed anew, and gets its id."""
    twin, token = plane.agent(), await plane.token()
    request = twin.request(routes.ENROL, b"")
    await run(twin.enrol, token)
    first_id, twin.endpoint_id = twin.endpoint_id, ""
    again = await run(twin.enrol, token)
    assert again.endpoint_id == first_id
    twin.endpoint_id, twin.counter = "", request.counter
    replay = await run(twin.try_enrol, token)
    assert (replay.status, replay.code) == (409, routes.P_REPLAYED)


async def test_a_known_key_cannot_enrol_again(plane: Plane) -> None:
    twin = await plane.enrolled()
    other, token = plane.agent(key=twin.key), await plane.token()
    answer = await run(other.try_enrol, token)
    assert (answer.status, answer.code) == (409, "key-known")
    await run(plane.agent().enrol, token)  # the token was not spent


async def test_the_same_machine_enrolling_again_is_a_new_endpoint_and_the_old_one_is_named(plane: Plane) -> None:
    first, second = await plane.enrolled(), await plane.enrolled()
    assert first.endpoint_id != second.endpoint_id
    assert (await plane.fleet.get_endpoint(OWNER, second.endpoint_id)).same_hostname == (first.endpoint_id,)


# --- clocks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("years", [-10, 10])
async def test_a_clock_off_by_years_is_told_the_time_and_works(plane: Plane, years: int) -> None:
    twin, token = plane.agent(clock_offset_s=years * 365 * 86400), await plane.token()
    answer = await run(twin.try_enrol, token)
    assert (answer.status, answer.code) == (401, routes.P_CLOCK_SKEW)
    assert abs(answer.json["server_ms"] - time.time() * 1000) < 60_000
    twin.clock_offset_s = round(answer.json["server_ms"] / 1000 - time.time())  # what an agent does
    await run(twin.enrol, token)
    assert (await run(twin.check_in)).status == 200


# --- bodies --------------------------------------------------------------------------------------------------------


async def signed_body(plane: Plane, twin: AgentTwin, target: str, body: bytes) -> tuple[int, str]:
    answer = await run(twin.signed, target, body)
    return answer.status, answer.json.get("code", "")


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"{", b"[]", b"null", b"{}", b"[" * 100_000, b'{"base_sequence": "x"}'],
    ids=["empty", "binary", "cut", "list", "null", "no-fields", "deep", "wrong-type"],
)
async def test_garbage_is_refused_and_the_connection_lives_on(plane: Plane, body: bytes) -> None:
    twin = await plane.enrolled()
    for target in (routes.INVENTORY, routes.RESULTS):
        assert await signed_body(plane, twin, target, body) == (400, "malformed")
    answer = await run(lambda: twin.post(routes.CHECK_IN, body, twin.mac_headers(twin.request(routes.CHECK_IN, body))))
    assert (answer.status, answer.code) == (400, "malformed")
    assert (await run(twin.check_in)).status == 200


async def test_bytes_that_are_no_text_are_refused(plane: Plane) -> None:
    twin = await plane.enrolled()
    body = twin.check_in_body().replace(b"0.1.0", b"0.\xa9.0")
    answer = await run(lambda: twin.post(routes.CHECK_IN, body, twin.mac_headers(twin.request(routes.CHECK_IN, body))))
    assert (answer.status, answer.code) == (400, "malformed")
    assert await signed_body(plane, twin, routes.GOODBYE, b'{"reason":"\xa9"}') == (400, "malformed")
    assert (await run(twin.check_in)).status == 200


async def test_unknown_fields_are_ignored(plane: Plane) -> None:
    twin = await plane.enrolled()
    body = twin.check_in_body()[:-1] + b',"from_the_future":{"a":[1]}}'
    answer = await run(lambda: twin.post(routes.CHECK_IN, body, twin.mac_headers(twin.request(routes.CHECK_IN, body))))
    assert answer.status == 200


@pytest.mark.parametrize(("target", "size"), [(routes.CHECK_IN, 300 * 1024), (routes.INVENTORY, 9 * 1024 * 1024)])
async def test_an_oversized_body_is_refused(plane: Plane, target: str, size: int) -> None:
    twin = await plane.enrolled()
    status, code = await signed_body(plane, twin, target, b" " * size)
    assert (status, code) == (413, "too-large")
    assert (await run(twin.check_in)).status == 200


async def test_what_the_database_cannot_hold_is_refused(plane: Plane) -> None:
    twin = await plane.enrolled()
    nul = dataclasses.replace(packages(1)[0], version="1\x00")
    assert (await run(twin.send_inventory, (nul,))).status == 400
    long = dataclasses.replace(packages(1)[0], name="".join(chr(0x4E00 + i % 20000) for i in range(50_000)))
    assert (await run(twin.send_inventory, (long,))).status == 400
    assert (await run(twin.send_inventory, packages(21_000))).status == 413
    assert (await run(twin.send_inventory, (*packages(2), *packages(2)))).status == 400
    assert (await run(twin.send_inventory, packages(3))).json["resync"] is False


async def test_a_check_in_that_the_database_cannot_hold_holds_up_no_other(plane: Plane) -> None:
    """Check-ins of many are written in one statement: one of them would keep all from being written, for ever."""
    twin, other = await plane.enrolled(), await plane.enrolled()
    body = twin.check_in_body()[:-1] + b',"agent_version":"1\\u0000"}'
    answer = await run(lambda: twin.post(routes.CHECK_IN, body, twin.mac_headers(twin.request(routes.CHECK_IN, body))))
    assert (answer.status, answer.code) == (400, "malformed")
    assert (await run(other.check_in)).status == 200
    await plane.fleet.flush()
    assert plane.fleet.presences.waiting == 0


async def test_headers_that_cannot_be_read_are_refused(plane: Plane) -> None:
    twin = await plane.enrolled()
    body = twin.check_in_body()
    good = twin.mac_headers(twin.request(routes.CHECK_IN, body))
    bad: list[dict[str, str]] = [
        {k: v for k, v in good.items() if k != auth.H_COUNTER},
        good | {auth.H_COUNTER: "-1"},
        good | {auth.H_COUNTER: "1e9"},
        good | {auth.H_COUNTER: "9" * 30},
        good | {auth.H_BOOT: ""},
        good | {auth.H_BOOT: "x" * 100},
        good | {auth.H_ENDPOINT: "x" * 100},
        {k: v for k, v in good.items() if k != auth.H_MAC},
    ]
    for headers in bad:
        answer = await run(twin.post, routes.CHECK_IN, body, headers)
        assert (answer.status, answer.code) == (400, "malformed"), headers
    assert (await run(twin.post, "/agent/v1/nothing", b"", {})).status == 404


async def test_unknown_endpoints_wrong_macs_and_wrong_signatures_are_told_apart(plane: Plane) -> None:
    twin = await plane.enrolled()
    stranger = plane.agent(endpoint_id="ep_00000000000000000000000000", secret=b"x" * 32)
    assert (await run(stranger.check_in)).code == routes.P_UNKNOWN_ENDPOINT
    forged = plane.agent(endpoint_id=twin.endpoint_id, secret=b"x" * 32)
    assert (await run(forged.check_in)).code == routes.P_SECRET_EXPIRED
    assert (await run(forged.renew)).code == routes.P_BAD_SIGNATURE
    assert (await run(twin.check_in)).status == 200  # forgeries neither used counters up nor made it look cloned


# --- replay and clones ---------------------------------------------------------------------------------------------


async def test_a_replayed_check_in_is_refused_and_proves_no_clone(plane: Plane) -> None:
    twin = await plane.enrolled()
    body, target = twin.check_in_body(), routes.CHECK_IN + "?wait=0"
    headers = twin.mac_headers(twin.request(target, body))
    assert (await run(twin.post, target, body, headers)).status == 200
    answer = await run(twin.post, target, body, headers)
    assert (answer.status, answer.code) == (409, routes.P_REPLAYED)
    assert (await run(twin.check_in)).status == 200


async def test_two_machines_with_one_identity_are_both_stopped(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    clone = dataclasses.replace(twin, connection=None)
    await run(twin.check_in)
    answer = await run(lambda: clone.check_in(in_progress=("of_1",)))
    assert (answer.status, answer.code) == (409, routes.P_CLONED)
    assert "Enrol each" in answer.json["hint"]
    for machine in (twin, clone):
        assert (await run(machine.check_in)).code == routes.P_CLONED
        assert (await run(machine.renew)).code == routes.P_CLONED
    detail = await plane.fleet.get_endpoint(OWNER, twin.endpoint_id)
    assert detail.summary.state is EndpointState.CLONED
    assert "counter" in detail.state_reason


async def test_a_clone_that_boots_by_itself_is_found_when_the_first_speaks_again(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    clone = dataclasses.replace(twin, connection=None, boot_id="another-boot")
    assert (await run(clone.check_in)).status in (200, 304)
    assert (await run(twin.check_in)).code == routes.P_CLONED
    assert (await run(clone.check_in)).code == routes.P_CLONED


async def test_twins_of_one_boot_that_renew_in_turn_are_found(plane: Plane) -> None:
    """Two containers copied from one: same key, same boot id, each over the counter of the other's refused check-in."""
    twin = await plane.enrolled()
    await run(twin.check_in)
    clone = dataclasses.replace(twin, connection=None)
    session = await plane.fleet.session(twin.endpoint_id)
    session.secret, session.outdated = b"", ()  # as after a restart of the server: both renew
    clone.counter += 1  # a request that was lost on its way
    codes = []
    for turn in range(6):
        machine = (twin, clone)[turn % 2]
        codes.append((await run(machine.check_in)).code)
        if codes[-1] == routes.P_CLONED:
            break
        assert (await run(machine.renew)).status == 200
    assert codes == [routes.P_SECRET_EXPIRED, routes.P_SECRET_EXPIRED, routes.P_CLONED]
    assert (await run(clone.renew)).code == routes.P_CLONED
    assert (await plane.fleet.get_endpoint(OWNER, twin.endpoint_id)).summary.state is EndpointState.CLONED


async def test_one_machine_that_is_killed_again_and_again_is_never_taken_for_two(
    plane: Plane, database: Database, tmp_path: Path
) -> None:
    twin = await plane.enrolled()
    async with running_plane(database, tmp_path) as restarted:
        for turn in range(20):
            if turn == 10:
                twin = dataclasses.replace(twin, port=restarted.port, connection=None)
            twin.counter += 256  # numbers are reserved in blocks
            old, target, body = twin.secret, routes.CHECK_IN + "?wait=0", twin.check_in_body()
            before = twin.mac_headers(twin.request(target, body))
            assert (await run(twin.renew)).status == 200
            late = await run(twin.post, target, body, before)  # sent before the kill, arrives after the renewal
            assert (late.status, late.code) == (401, routes.P_SECRET_EXPIRED)
            assert old != twin.secret
            assert (await run(twin.check_in)).status in (200, 304)


async def test_a_retired_endpoint_is_told_so(plane: Plane) -> None:
    twin = await plane.enrolled()
    await plane.fleet.retire(OWNER, twin.endpoint_id, "sold")
    answer = await run(twin.check_in)
    assert (answer.status, answer.code) == (410, routes.P_RETIRED)
    assert (await plane.fleet.list_endpoints(OWNER)).items == ()
    assert len((await plane.fleet.list_endpoints(OWNER, "state:retired")).items) == 1


async def test_after_a_restart_old_messages_are_worth_nothing(plane: Plane, database: Database, tmp_path: Path) -> None:
    twin = await plane.enrolled()
    renewal = twin.request(routes.SECRET, b"{}")
    headers = twin.signed_headers(renewal)
    assert (await run(twin.post, routes.SECRET, b"{}", headers)).status == 200
    farewell = encode(Goodbye("shutdown"))
    goodbye = twin.signed_headers(twin.request(routes.GOODBYE, farewell))
    assert (await run(twin.post, routes.GOODBYE, farewell, goodbye)).status == 204
    body, target = twin.check_in_body(), routes.CHECK_IN + "?wait=0"
    old = twin.mac_headers(twin.request(target, body))
    async with running_plane(database, tmp_path) as restarted:
        later = dataclasses.replace(twin, port=restarted.port, connection=None)
        answer = await run(later.post, target, body, old)
        assert (answer.status, answer.code) == (401, routes.P_SECRET_EXPIRED)
        answer = await run(later.post, routes.SECRET, b"{}", headers)
        assert (answer.status, answer.code) == (409, routes.P_REPLAYED)
        answer = await run(later.post, routes.GOODBYE, farewell, goodbye)
        assert (answer.status, answer.code) == (409, routes.P_REPLAYED)
        assert (await run(later.renew)).status == 200
        assert (await run(later.check_in)).status == 200


# --- inventory -----------------------------------------------------------------------------------------------------


async def test_deltas_follow_a_full_inventory_and_a_gap_asks_for_all_of_it(plane: Plane) -> None:
    twin = await plane.enrolled()
    have = packages(100)
    await run(twin.send_inventory, have)
    changed, gone = dataclasses.replace(have[3], version="2.0"), have[4]
    now = tuple(changed if p is have[3] else p for p in have if p is not gone)
    answer = await run(
        lambda: twin.send_inventory((changed,), base=1, removed=(f"{gone.name}:{gone.architecture}",), total=now)
    )
    said = {"sequence": 2, "digest": twin.digest, "resync": False, "keeps": ["owner", "module", "where"]}
    assert answer.json == said
    assert set(await plane.fleet.packages(OWNER, twin.endpoint_id)) == set(now)

    gap = await run(lambda: twin.send_inventory((have[3],), base=7, total=have))
    assert gap.json["resync"] is True
    wrong = await run(lambda: twin.send_inventory((have[3],), base=2, total=have))  # the digest of something else
    assert wrong.json["resync"] is True
    assert (await run(twin.check_in)).json["resync"] is False  # what is held is what the endpoint says it has
    assert set(await plane.fleet.packages(OWNER, twin.endpoint_id)) == set(now)
    assert (await run(twin.send_inventory, have)).json["resync"] is False
    assert set(await plane.fleet.packages(OWNER, twin.endpoint_id)) == set(have)


async def test_an_endpoint_that_forgot_is_asked_for_everything(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.send_inventory, packages(5))
    twin.sequence, twin.digest = 0, ""  # its disk was restored
    assert (await run(twin.check_in)).json["resync"] is True
    twin.sequence = 1
    assert (await run(twin.send_inventory, packages(5))).json["resync"] is False
    assert (await run(twin.check_in)).json["resync"] is False


async def test_an_inventory_sent_twice_is_acknowledged_twice_and_held_once(plane: Plane) -> None:
    twin = await plane.enrolled()
    first = await run(twin.send_inventory, packages(5))
    twin.sequence = 0
    again = await run(twin.send_inventory, packages(5))
    assert first.json == again.json
    assert len(await plane.fleet.packages(OWNER, twin.endpoint_id)) == 5


# --- long-poll -----------------------------------------------------------------------------------------------------

CANDIDATE = Candidate("ro_1", 1, (UpdateRef("openssl", "3.0.1"),))


async def test_a_long_poll_ends_with_304_when_nothing_is_new(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    begun = time.monotonic()
    assert (await run(twin.check_in, 1)).status == 304
    assert 0.9 < time.monotonic() - begun < 5


async def test_news_wakes_a_long_poll_at_once(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    for topic in (f"wake:{twin.endpoint_id}", f"rollout:{OWNER.tenant_id}"):
        poll = asyncio.create_task(run(twin.check_in, 50))
        while plane.exchange.waiting == 0:
            await asyncio.sleep(0.01)
        plane.orders.candidates = () if plane.orders.candidates else (CANDIDATE,)
        begun = time.monotonic()
        await plane.bus.publish(topic)
        answer = await poll
        assert time.monotonic() - begun < 2
        assert answer.status == 200
        assert len(answer.json["candidates"]) == len(plane.orders.candidates)


async def test_a_wake_without_news_keeps_the_poll_waiting(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    poll = asyncio.create_task(run(twin.check_in, 2))
    while plane.exchange.waiting == 0:
        await asyncio.sleep(0.01)
    await plane.bus.publish(f"wake:{twin.endpoint_id}")
    assert (await poll).status == 304


async def test_scan_now_settings_and_tags_reach_the_endpoint(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    poll = asyncio.create_task(run(twin.check_in, 50))
    while plane.exchange.waiting == 0:
        await asyncio.sleep(0.01)
    await plane.fleet.scan_now(OWNER, twin.endpoint_id)
    assert (await poll).json["scan"] == 1
    plane.settings = Settings(check_in_interval_s=5)
    await plane.fleet.set_tags(OWNER, twin.endpoint_id, ("lab",))
    while (answer := await run(twin.check_in, 5)).status != 200:
        pass
    assert answer.json["settings"]["check_in_interval_s"] == 5


async def test_an_unchanged_check_in_asks_nobody(plane: Plane) -> None:
    """The hot path: no source of orders, no settings, no database."""
    twin = await plane.enrolled()
    await run(twin.check_in)
    asked = len(plane.orders.check_ins)
    for _ in range(5):
        assert (await run(twin.check_in)).status == 304
    assert len(plane.orders.check_ins) == asked
    await run(lambda: twin.check_in(in_progress=("of_1",)))
    assert len(plane.orders.check_ins) == asked + 1


# --- results, goodbye ----------------------------------------------------------------------------------------------


async def test_results_are_acknowledged_by_id(plane: Plane) -> None:
    twin = await plane.enrolled()
    result = TransactionResult("tx_1", "of_1", "ro_1", 1, Outcome.INSTALLED, "ok", "fine")
    answer = await run(twin.signed, routes.RESULTS, encode(Results((result,))))
    assert answer.json == {"accepted": ["tx_1"]}
    assert plane.orders.results == [result]


async def send_run(plane: Plane, twin: AgentTwin, body: bytes) -> Response:
    return await run(lambda: twin.post(routes.RUN, body, twin.mac_headers(twin.request(routes.RUN, body))))


async def test_a_run_log_is_taken_by_its_mac_and_not_without(plane: Plane) -> None:
    twin = await plane.enrolled()
    part = RunPart("tx_1", "of_1", (RunEntry(1, 5, RunKind.OUTPUT, 1, "Setting up libssl3 ..."),), sent_ms=7)
    assert (await send_run(plane, twin, encode(part))).json == {"next": 2, "closed": False}
    assert plane.orders.parts == [part]
    forged = plane.agent(endpoint_id=twin.endpoint_id, secret=b"x" * 32)
    assert (await send_run(plane, forged, encode(part))).code == routes.P_SECRET_EXPIRED
    signed = await run(twin.signed, routes.RUN, encode(part))
    assert (signed.status, signed.code) == (400, "malformed"), "a signature alone is no MAC"
    nul = encode(dataclasses.replace(part, transaction_id="tx_\x00"))
    assert (await send_run(plane, twin, nul)).code == "malformed"
    assert (await send_run(plane, twin, b" " * 200_000)).code == "too-large"
    assert plane.orders.parts == [part]
    assert (await run(twin.check_in)).status == 200


async def test_run_logs_wait_for_everything_else(database: Database, tmp_path: Path) -> None:
    async with running_plane(database, tmp_path, limits=Limits(runs=1)) as plane:
        plane.orders.hold = asyncio.Event()
        one, other = await plane.enrolled(), await plane.enrolled()
        body = encode(RunPart("tx_1", "of_1"))
        first = asyncio.create_task(send_run(plane, one, body))
        while not plane.orders.parts:
            await asyncio.sleep(0.01)
        refused = await send_run(plane, other, body)
        assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "too-busy", "10")
        assert (await run(other.check_in)).status == 200
        assert (await run(other.send_inventory, packages(3))).json["resync"] is False
        plane.orders.hold.set()
        assert (await first).status == 200


async def test_goodbye_makes_an_endpoint_asleep_until_it_is_heard_again(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    assert (await run(twin.signed, routes.GOODBYE, encode(Goodbye("shutdown")))).status == 204
    assert (await plane.fleet.presence(OWNER.tenant_id))[twin.endpoint_id].asleep
    page = await plane.fleet.list_endpoints(OWNER, "asleep:yes")
    assert [e.id for e in page.items] == [twin.endpoint_id]
    await run(twin.check_in)
    assert not (await plane.fleet.presence(OWNER.tenant_id))[twin.endpoint_id].asleep


@pytest.mark.parametrize("reason", ["restart", "agent_stop", "something else"])
async def test_who_says_that_it_comes_back_is_not_asleep(plane: Plane, reason: str) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    assert (await run(twin.signed, routes.GOODBYE, encode(Goodbye(reason)))).status == 204
    assert not (await plane.fleet.presence(OWNER.tenant_id))[twin.endpoint_id].asleep


async def test_numbers_of_a_check_in_are_kept_and_those_of_older_agents_are_none(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    assert (await plane.fleet.presence(OWNER.tenant_id))[twin.endpoint_id].readings is None
    await run(lambda: twin.check_in(health=Health((), True, 5, 0.25, 4, 8, 10, 2, 3, 1, 0)))
    await plane.fleet.flush()
    async with plane.fleet.db.tenant(OWNER.tenant_id) as conn:
        stored = await conn.fetchval("SELECT readings FROM brakeline.presence WHERE endpoint_id = $1", twin.endpoint_id)
    assert stored == "4 8 5 10 0.25 2 3 1 0"
    assert (await plane.fleet.presence(OWNER.tenant_id))[twin.endpoint_id].readings == Readings.read(stored)


async def test_harms_are_kept_what_is_not_told_stays_so_and_nonsense_is_not_told(plane: Plane) -> None:
    twin = await plane.enrolled()
    await run(twin.check_in)
    assert (await plane.fleet.presence(OWNER.tenant_id))[twin.endpoint_id].harms is None
    told = Harms(refused=3, files_gone=-4, ports=(443, 22), named=("refused: sh",))
    await run(lambda: twin.check_in(harms=told))
    await plane.fleet.flush()
    async with plane.fleet.db.tenant(OWNER.tenant_id) as conn:
        stored = await conn.fetchval("SELECT harms FROM brakeline.presence WHERE endpoint_id = $1", twin.endpoint_id)
    assert stored == "3 - - - -\t22 443\trefused: sh"
    kept = (await plane.fleet.presence(OWNER.tenant_id))[twin.endpoint_id].harms
    assert kept == Harms(refused=3, ports=(22, 443), named=("refused: sh",))


# --- limits --------------------------------------------------------------------------------------------------------


async def test_more_long_polls_than_the_server_holds_are_asked_to_come_later(
    database: Database, tmp_path: Path
) -> None:
    async with running_plane(database, tmp_path, limits=Limits(polls=1)) as plane:
        first, second = await plane.enrolled(), await plane.enrolled()
        await run(first.check_in)
        await run(second.check_in)
        held = asyncio.create_task(run(first.check_in, 50))
        while not plane.exchange.waiting:
            await asyncio.sleep(0.01)
        refused = await run(second.check_in, 50)
        assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "too-busy", "10")
        assert (await run(second.check_in)).status == 304  # without waiting it is heard all the same
        plane.exchange.end_all()
        assert (await held).status == 304
        assert (await run(first.check_in, 50)).status == 304  # at once: nothing is held any more


async def test_more_writes_than_the_server_does_at_once_are_asked_to_come_later(
    database: Database, tmp_path: Path
) -> None:
    async with running_plane(database, tmp_path, limits=Limits(writes=1)) as plane:
        slow, other = await plane.enrolled(), await plane.enrolled()
        token = await plane.token()
        await run(slow.send_inventory, packages(3))
        async with plane.db.tenant(OWNER.tenant_id) as conn:
            await lock_held(conn, slow.endpoint_id)
            writing = asyncio.create_task(run(slow.send_inventory, packages(4)))
            while not await conn.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
            refused = await run(other.send_inventory, packages(3))
            enrolling = await run(plane.agent().try_enrol, token)
            renewing = await run(other.renew)
        for answer in (refused, enrolling, renewing):
            assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "too-busy", "10")
        assert (await writing).json["resync"] is False
        assert (await run(other.send_inventory, packages(3))).json["resync"] is False
        await run(plane.agent().enrol, token)  # the token was not spent
