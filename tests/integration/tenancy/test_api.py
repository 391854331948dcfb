"""The routes of tenancy: two ways in, other sites kept out, problems as documents."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from tests.asgi import Answer, call

from brakeline.core.clock import ManualClock
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.platform.web import encode_cursor, install_problem_handlers
from brakeline.tenancy.api import COOKIE, csrf_fits, router
from brakeline.tenancy.approval_api import router as approval_router
from brakeline.tenancy.service import TenancyService

ORIGIN = {"origin": "https://cell.test"}


@pytest.fixture
def app(database: Database, clock: ManualClock, ids: IdMaker) -> FastAPI:
    made = FastAPI()
    made.include_router(router)
    made.include_router(approval_router)
    install_problem_handlers(made)
    made.state.tenancy = TenancyService(database, clock, ids)
    made.state.clock = clock
    return made


@pytest.fixture
async def begun(app: FastAPI) -> Answer:
    link = await app.state.tenancy.bootstrap()
    return await call(app, "POST", "/api/v1/auth/redeem", {"secret": link.secret})


@pytest.fixture
def session(begun: Answer) -> dict[str, str]:
    """Headers of a signed-in browser on a page of ours."""
    return {"cookie": f"{COOKIE}={begun.cookie(COOKIE)}", **ORIGIN}


async def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(begun: Answer) -> None:
    assert begun.status == 200
    cookie = begun.headers["set-cookie"].lower()
    assert all(flag in cookie for flag in ("httponly", "secure", "samesite=lax", "path=/", "max-age=43200"))
    assert csrf_fits(begun.cookie(COOKIE), begun.json()["csrf_token"])
    assert not csrf_fits(begun.cookie(COOKIE), "else")


@pytest.mark.parametrize("name", ["a\x00b", "a\ud800b"])
async def test_a_name_that_no_database_can_keep_is_the_sender_s_mistake(
    app: FastAPI, session: dict[str, str], name: str
) -> None:
    made = await call(app, "POST", "/api/v1/tokens", {"name": name, "permissions": ["endpoint.read"]}, session)
    assert (made.status, made.json()["code"]) == (422, "invalid")
    person = {"email": "a@example.org", "name": name, "roles": ["viewer"]}
    assert (await call(app, "POST", "/api/v1/people", person, session)).json()["code"] == "invalid"


async def test_whoami_by_session_by_token_and_by_nothing(app: FastAPI, session: dict[str, str]) -> None:
    me = await call(app, "GET", "/api/v1/auth/whoami", headers=session)
    assert (me.json()["kind"], "audit.read" in me.json()["permissions"]) == ("person", True)
    made = await call(app, "POST", "/api/v1/tokens", {"name": "ci", "permissions": ["endpoint.read"]}, session)
    assert made.status == 201
    bearer = {"authorization": f"Bearer {made.json()['secret']}"}
    assert (await call(app, "GET", "/api/v1/auth/whoami", headers=bearer)).json()["permissions"] == ["endpoint.read"]
    listed = await call(app, "GET", "/api/v1/tokens", headers=session)
    assert made.json()["secret"] not in listed.text
    refused = await call(app, "GET", "/api/v1/people", headers=bearer)
    assert (refused.status, refused.json()["code"]) == (403, "forbidden")
    gone = await call(app, "DELETE", f"/api/v1/tokens/{made.json()['token_id']}", headers=session)
    assert gone.status == 204
    assert (await call(app, "GET", "/api/v1/auth/whoami", headers=bearer)).status == 401
    nothing = await call(app, "GET", "/api/v1/auth/whoami")
    assert (nothing.status, nothing.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "other", [{"origin": "https://evil.test"}, {"origin": "null"}, {}, {"sec-fetch-site": "cross-site"}]
)
async def test_a_form_of_another_site_changes_nothing(
    app: FastAPI, session: dict[str, str], other: dict[str, str]
) -> None:
    sent = {"cookie": session["cookie"], **other}
    answer = await call(app, "POST", "/api/v1/tokens", {"name": "stolen"}, sent)
    assert (answer.status, answer.json()["code"]) == (403, "forbidden")
    assert (await call(app, "GET", "/api/v1/tokens", headers=session)).json() == {"items": []}


async def test_people_roles_and_the_way_in(app: FastAPI, session: dict[str, str]) -> None:
    body = {"email": "v@example.org", "name": "V", "roles": ["viewer"]}
    added = await call(app, "POST", "/api/v1/people", body, session)
    assert added.status == 201
    secret = added.json()["login_path"].removeprefix("/login/")
    viewer = await call(app, "POST", "/api/v1/auth/redeem", {"secret": secret})
    headers = {"cookie": f"{COOKIE}={viewer.cookie(COOKIE)}", **ORIGIN}
    new = {"password": "a long enough password"}
    assert (await call(app, "POST", "/api/v1/auth/password", new, headers)).status == 204
    login = {"email": "v@example.org", "password": "a long enough password"}
    assert (await call(app, "POST", "/api/v1/auth/login", login)).status == 200
    assert (await call(app, "POST", "/api/v1/auth/login", {**login, "password": "x"})).status == 401
    path = f"/api/v1/people/{added.json()['person_id']}"
    more = await call(app, "PUT", path + "/roles", {"roles": ["operator"]}, session)
    assert (more.status, more.json()["approval"]["way"]) == (202, "single person")
    assert (await call(app, "PUT", path + "/roles", {"roles": []}, session)).json()["roles"] == []
    assert (await call(app, "POST", path + "/login-link", headers=session)).status == 201
    assert (await call(app, "POST", path + "/disable", headers=session)).json()["disabled_ms"]
    assert len((await call(app, "GET", "/api/v1/people", headers=session)).json()["items"]) == 2
    assert (await call(app, "POST", "/api/v1/auth/logout", headers=session)).status == 204
    assert (await call(app, "GET", "/api/v1/people", headers=session)).status == 401


async def test_approvals_are_listed_rejected_and_never_agreed_to_by_a_token(
    app: FastAPI, session: dict[str, str]
) -> None:
    body = {"email": "v@example.org", "name": "V", "roles": ["viewer"]}
    added = (await call(app, "POST", "/api/v1/people", body, session)).json()
    path = f"/api/v1/people/{added['person_id']}/roles"
    asked = (await call(app, "PUT", path, {"roles": ["owner"]}, session)).json()["approval"]
    assert (asked["act"], asked["state"], asked["object_id"]) == ("person.set-roles", "open", added["person_id"])
    listed = await call(app, "GET", "/api/v1/approvals", headers=session)
    assert [a["id"] for a in listed.json()["items"]] == [asked["id"]]
    shown = await call(app, "GET", f"/api/v1/approvals/{asked['id']}", headers=session)
    assert "the roles owner instead of viewer" in shown.json()["says"][0]
    token = (await call(app, "POST", "/api/v1/tokens", {"name": "ci"}, session)).json()["secret"]
    bearer, yes = {"authorization": f"Bearer {token}"}, {"digest": asked["digest"]}
    refused = await call(app, "POST", f"/api/v1/approvals/{asked['id']}/approve", yes, bearer)
    assert (refused.status, refused.json()["code"]) == (403, "two-people")
    early = await call(app, "POST", f"/api/v1/approvals/{asked['id']}/approve", yes, session)
    assert (early.status, early.json()["context"]["reason"]) == (403, "wait")
    no = await call(app, "POST", f"/api/v1/approvals/{asked['id']}/reject", {"reason": "not him"}, bearer)
    assert (no.status, no.json()["state"]) == (200, "rejected")
    assert (await call(app, "GET", "/api/v1/approvals", headers=session)).json() == {"items": []}
    assert len((await call(app, "GET", "/api/v1/approvals?all=true", headers=session)).json()["items"]) == 1
    assert (await call(app, "GET", "/api/v1/approvals/ap_none", headers=session)).status == 404


async def test_the_log_is_paged_and_verified(app: FastAPI, session: dict[str, str]) -> None:
    for i in range(3):
        await call(app, "POST", "/api/v1/tokens", {"name": f"t{i}"}, session)
    first = (await call(app, "GET", "/api/v1/audit?limit=3", headers=session)).json()
    rest = (await call(app, "GET", f"/api/v1/audit?limit=3&cursor={first['next_cursor']}", headers=session)).json()
    sequences = [e["sequence"] for e in first["items"] + rest["items"]]
    assert sequences == [5, 4, 3, 2, 1]
    assert rest["next_cursor"] is None
    for made_up in (encode_cursor("audit"), encode_cursor("audit", "x"), encode_cursor("audit", 1 << 70)):
        answer = await call(app, "GET", f"/api/v1/audit?cursor={made_up}", headers=session)
        assert (answer.status, answer.json()["code"]) == (422, "invalid")
    found = (await call(app, "GET", "/api/v1/audit/verify", headers=session)).json()
    assert (found["intact"], found["entries"], found["end"]) == (True, 5, first["items"][0]["hash"])
    assert (await call(app, "GET", "/api/v1/audit?cursor=x", headers=session)).status == 422


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"secret": 3}', b"\xff"])
async def test_garbage_is_a_problem_document(app: FastAPI, body: bytes) -> None:
    answer = await call(app, "POST", "/api/v1/auth/redeem", body)
    assert answer.status in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
