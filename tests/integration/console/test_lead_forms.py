"""Leads of updates and of a release, drafted where people deploy and promote: what is offered, refused and made."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qs, urlsplit

from tests.integration.console.test_real_services import LINK_PASSWORD, NEW, House, house
from tests.support_fleet import OWNER
from tests.support_releases import release_bundle

from brakeline.rollout.conducting import LeadView

__all__ = ["house"]
CELLS = "&where=cells&cell=oslo-1&cell=rome-1"


async def joined(house: House, *names: str) -> None:
    """Cells that have joined, as their `cell join` would make them."""
    assert house.owner is not None
    for name in names:
        house.clock.advance(1)
        await house.cells.invite(house.owner, name, "eu", "https://berlin.example")
    async with house.database.tenant(house.owner.tenant_id) as conn:
        await conn.execute("UPDATE brakeline.cell_member SET state = 'joined', leads = 2")


async def leads(house: House) -> tuple[LeadView, ...]:
    assert house.owner is not None
    return await house.conducting.list(house.owner)


def hidden(page: str) -> dict[str, str]:
    """What the form below `What would be led` sends."""
    part = page[page.index('id="lead-preview"') :]
    return dict(re.findall(r'type="hidden" name="((?!csrf)[^"]+)" value="([^"]*)"', part))


async def enter(house: House, email: str, password: str) -> None:
    """From now on the visitor is this one."""
    entered = await house.post("/login", email=email, password=password)
    house.cookie = entered.cookie("brakeline_session")
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', await house.page("/settings"))
    assert found is not None
    house.csrf = found[1]


async def test_without_cells_that_have_joined_the_forms_are_as_they_were(house: House) -> None:
    assert house.owner is not None
    await house.endpoint("web-01")
    await house.remediation.create_policy(house.owner, name="p", filter_text="", mode="patch")
    made = await house.releases.publish(house.owner, release_bundle("1.0.0", 1))
    await house.cells.invite(house.owner, "oslo-1", "eu", "https://berlin.example")  # invited is not joined
    for path in ("/rollouts/new", "/rollouts/new?selection=security", f"/releases/{made.release_id}/promote"):
        page = await house.page(path)
        assert 'name="where"' not in page, path
        assert "NAME=VERSION" not in page, path
    assert "there are none" in await house.page(f"/rollouts/new?selection=security{CELLS}")
    assert 'id="lead-updates"' not in await house.page("/settings/cells")


async def test_updates_are_looked_at_drafted_over_the_ticked_cells_and_started_on_their_card(house: House) -> None:
    assert house.owner is not None
    await house.endpoint("web-01")
    await house.remediation.create_policy(house.owner, name="p", filter_text="", mode="patch")
    await joined(house, "oslo-1", "rome-1")
    assert "/rollouts/new?where=cells&amp;cell=oslo-1&amp;cell=rome-1" in await house.page("/settings/cells")
    assert "Start on 1 endpoints" in await house.page("/rollouts/new?selection=security&where=here"), "in this cell"
    seen = await house.page(f"/rollouts/new?selection=security&filter=os:debian&policy=careful&name=night{CELLS}")
    assert "Over <b>oslo-1, then rome-1</b>" in seen
    assert "1 endpoint of this cell would get now (debian:12)" in seen
    assert "Draft it over 2 cells" in seen
    assert await leads(house) == (), "nothing is drafted by looking"
    made = await house.post("/rollouts/new/lead", **hidden(seen))
    (lead,) = await leads(house)
    assert made.headers["location"] == f"/settings/cells?done=lead-made#{lead.id}"
    assert (lead.title, lead.kind, lead.state, lead.filter) == ("night", "updates", "draft", "os:debian")
    assert lead.updates == (f"curl={NEW}", f"libcurl4={NEW}")
    assert [c.cell for c in lead.cells] == ["oslo-1", "rome-1"]
    card = await house.page("/settings/cells?done=lead-made")
    assert "then start it here" in card
    acts = f"/settings/cells/leads/{lead.id}"
    assert (await house.post(f"{acts}/start")).status == 303
    card = await house.page("/settings/cells")
    assert all(f'action="{acts}/{act}"' in card for act in ("pause", "brake"))


async def test_whatever_is_wrong_brings_the_form_back_with_the_reason_and_what_was_typed(house: House) -> None:
    assert house.owner is not None
    await house.endpoint("web-01")
    await house.remediation.create_policy(house.owner, name="p", filter_text="", mode="patch")
    await joined(house, "oslo-1", "rome-1")
    one = "&where=cells&cell=oslo-1&name=kept"
    for wrong, why in (
        ("selection=security&where=cells&name=kept", "tick at least one cell"),
        ("selection=security&where=cells&cell=paris-1&name=kept", "no cell &#39;paris-1&#39; has joined"),
        (f"selection=security&filter=tag:none{one}", "there is no version to lead"),
        (f"selection=names&names=nano{one}", "type nano=VERSION"),
        (f"selection=names&names=curl={one}", "NAME=VERSION"),
        (f"selection=names&names=curl=1+curl=2{one}", "two versions"),
        (f"selection=security&across=yes{one}", "Across distributions"),
        (f"selection=security&policy=hasty{one}", "no pace"), (f"selection=names&names=a=1&filter=oss:x{one}", "oss"),
        (f"selection=some{one}", "selection is one of"), (f"selection=cve&names=CVE-1999-1{one}", "no version to lead"),
    ):  # fmt: skip
        seen = await house.page(f"/rollouts/new?{wrong}")
        assert why in seen, wrong
        assert 'role="alert"' in seen, wrong
        assert 'value="kept"' in seen, wrong
        assert 'id="draft"' not in seen, wrong
    seen = await house.page(f"/rollouts/new?selection=names&names=a=1&filter=oss:debian&exploited=yes{one}")
    found = re.search(r'Did you mean <a href="([^"]+)"', seen)
    assert found is not None
    assert parse_qs(urlsplit(unescape(found[1])).query) == {
        "filter": ["os:debian"], "selection": ["names"], "names": ["a=1"], "name": ["kept"], "where": ["cells"],
        "cell": ["oslo-1"], "exploited": ["yes"],
    }, "what was typed beside it stays"  # fmt: skip
    form = hidden(await house.page(f"/rollouts/new?selection=security&name=kept{CELLS}"))
    await house.cells.drain(house.owner, "rome-1", "moves house")
    for changed, status, why in (
        ({}, 422, "no cell &#39;rome-1&#39; has joined; there are oslo-1."),
        ({"cells": ""}, 422, "tick at least one cell"), ({"cells": "oslo-1", "digest": "0"}, 409, "not those that you"),
        ({"cells": "oslo-1", "policy": "hasty"}, 422, "no pace"), ({"cells": "oslo-1", "name": "x" * 201}, 422, "200"),
    ):  # fmt: skip
        answer = await house.post("/rollouts/new/lead", **{**form, **changed})
        assert (answer.status, why in answer.text) == (status, True), (changed, answer.text[-3000:])
        assert f'value="{changed.get("name", "kept")}"' in answer.text
        assert re.search(r'id="where-cells" value="cells" checked', answer.text)
    assert await leads(house) == ()
    assert (await house.post("/rollouts/new/lead", **{**form, "cells": "oslo-1"})).status == 303


async def test_versions_that_are_typed_are_led_by_a_conductor_without_endpoints(house: House) -> None:
    assert house.owner is not None
    await joined(house, "oslo-1")
    asked = "/rollouts/new?selection=names&names=curl=8.9+nano=7&policy=fast&exploited=yes&where=cells&cell=oslo-1"
    seen = await house.page(asked)
    assert "Over <b>oslo-1</b>" in seen
    assert "nobody is held out" in seen
    assert "second person agrees" in seen
    await house.post("/updates/nano/decline", version="7", reason="eats keys")
    assert "nano 7 was declined" in await house.page(asked)
    assert (await house.post("/rollouts/new/lead", **hidden(seen))).status == 303
    (lead,) = await leads(house)
    assert (lead.title, lead.updates) == ("curl 8.9, nano 7", ("curl=8.9", "nano=7"))


async def test_in_the_fast_lane_the_start_on_the_card_waits_for_a_second_person(house: House) -> None:
    house.clock.advance(9 * 86_400)  # past the first week
    await enter(house, "owner@localhost", LINK_PASSWORD)
    await joined(house, "oslo-1")
    asked = "/rollouts/new?selection=names&names=curl=8.9&policy=fast&where=cells&cell=oslo-1"
    await house.post("/rollouts/new/lead", **hidden(await house.page(asked)))
    (lead,) = await leads(house)
    answer = await house.post(f"/settings/cells/leads/{lead.id}/start")
    assert answer.headers["location"].startswith("/approvals/")
    assert "in the fast lane" in await house.page(answer.headers["location"])
    assert (await leads(house))[0].wish == "draft"


async def test_a_release_is_led_from_the_page_that_promotes_it(house: House) -> None:
    assert house.owner is not None
    release_id = (await house.releases.publish(house.owner, release_bundle("1.0.0", 1))).release_id
    await joined(house, "oslo-1", "rome-1")
    page = f"/releases/{release_id}/promote"
    assert "No active endpoint could take it" in await house.page(page)
    assert "tick at least one cell" in await house.page(f"{page}?where=cells")
    assert "no cell &#39;paris-1&#39;" in await house.page(f"{page}?where=cells&cell=paris-1")
    seen = await house.page(f"{page}?pace=rehearsal{CELLS}")
    assert "publish the same one in all of them first" in seen
    assert f"--release {release_id} --cell oslo-1 --cell rome-1 --pace rehearsal" in seen
    form, post = hidden(seen), f"/releases/{release_id}/lead"
    assert (await house.post("/releases/9.9.9-000000000000/lead", **form)).status == 404
    answer = await house.post(post, **{**form, "cells": "oslo-1 paris-1"})
    assert (answer.status, "no cell &#39;paris-1&#39; has joined" in answer.text) == (422, True)
    assert 'id="cell-oslo-1" value="oslo-1" checked' in answer.text
    assert (await house.post(post, **{**form, "pace": "hasty"})).status == 422
    assert await leads(house) == ()
    made = await house.post(post, **form)
    (lead,) = await leads(house)
    assert made.headers["location"] == f"/settings/cells?done=lead-made#{lead.id}"
    assert (lead.title, lead.kind, lead.state) == ("agent 1.0.0", "release", "draft")
    early = await house.page(f"{page}?pace=rehearsal&channel=early{CELLS}")
    assert f"--release {release_id} --channel early --cell oslo-1" in early
    assert (await house.post(post, **hidden(early))).status == 303
    assert {x.channel for x in await leads(house)} == {"stable", "early"}
    await house.releases.recall(house.owner, release_id, "it eats memory")
    answer = await house.post(post, **form)
    assert (answer.status, "is recalled" in answer.text) == (409, True)


async def test_who_may_only_look_drafts_nothing_and_nobody_sees_another_organisations_cells(house: House) -> None:
    assert house.owner is not None
    release_id = (await house.releases.publish(house.owner, release_bundle("1.0.0", 1))).release_id
    await joined(house, "oslo-1")
    link = await house.tenancy.add_person(house.owner, "vera@example.org", "Vera", ["viewer"])
    await house.post("/login/link", token=link.secret, password=LINK_PASSWORD)
    await enter(house, "vera@example.org", LINK_PASSWORD)
    asked = "/rollouts/new?selection=names&names=curl=8.9&where=cells&cell=oslo-1"
    seen = await house.page(asked)
    assert "Your role may look, not draft." in seen
    answer = await house.post("/rollouts/new/lead", **hidden(seen))
    assert (answer.status, "lacks the permission rollout.create" in answer.text) == (403, True)
    assert 'value="curl=8.9"' in answer.text
    answer = await house.post(f"/releases/{release_id}/lead", pace="careful", cells="oslo-1")
    assert (answer.status, "lacks the permission release.publish" in answer.text) == (403, True)
    assert await leads(house) == ()


async def test_another_organisations_cells_are_neither_offered_nor_led(house: House) -> None:
    await joined(house, "oslo-1")
    await house.cells.invite(OWNER, "foreign-1", "eu", "https://berlin.example")  # of the test's own organisation
    async with house.database.tenant(OWNER.tenant_id) as conn:
        await conn.execute("UPDATE brakeline.cell_member SET state = 'joined', leads = 2")
    asked = "/rollouts/new?selection=names&names=curl=8.9&where=cells&cell="
    seen = await house.page(f"{asked}oslo-1")
    assert "foreign-1" not in seen
    assert "no cell &#39;foreign-1&#39; has joined" in await house.page(f"{asked}foreign-1")
    answer = await house.post("/rollouts/new/lead", **{**hidden(seen), "cells": "foreign-1"})
    assert (answer.status, await leads(house)) == (422, ())
    assert await house.conducting.list(OWNER) == ()
