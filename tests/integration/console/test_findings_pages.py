"""Accepted, terms, over time, updates and events by the real desk: what people press, and what they read then."""

from __future__ import annotations

import re

from tests.integration.console.test_real_services import House, house

__all__ = ["house"]


async def test_from_a_finding_to_accepted_and_back_to_terms_and_what_an_update_closes(house: House) -> None:
    await house.endpoint("web-01")
    listed = await house.page("/vulnerabilities?q=source:curl")
    cve = re.search(r'href="/vulnerabilities/(CVE-[0-9-]+)"', listed)
    assert cve is not None
    page, href = f"/vulnerabilities/{cve[1]}", f"/vulnerabilities/{cve[1]}/accept"
    assert "unscored: 30 days from when it became known here" in await house.page(page)
    refused = await house.post(href, reason="no route", days="soon", filter="")
    assert (refused.status, "a number of days is needed" in refused.text) == (422, True)
    done = await house.post(href, reason="no route", days="30", filter="")
    assert (done.status, done.headers["location"]) == (303, f"{page}?done=accepted")
    accepted = await house.page(page)
    assert "no route" in accepted
    assert "accepted until" in accepted
    assert "1 of " in await house.page("/vulnerabilities?q=accepted:yes")
    held = re.search(r'action="(/vulnerabilities/accepted/ac_\w+/end)"', await house.page("/vulnerabilities/accepted"))
    assert held is not None
    assert (await house.post(held[1], reason="there is one")).status == 303
    assert "Nothing is accepted." in await house.page("/vulnerabilities/accepted")
    assert "there is one" in await house.page("/vulnerabilities/accepted?all=yes")

    terms = {"exploited": "14", "critical": "15", "high": "7", "moderate": "90", "low": "180", "unscored": "2"}
    done = await house.post("/vulnerabilities/terms", **terms, catalogue="yes", two_people="exploited")
    assert done.headers["location"] == "/vulnerabilities/terms?done=terms"
    asked = await house.post("/vulnerabilities/terms", **{**terms, "high": "60"}, catalogue="yes", two_people="never")
    assert asked.headers["location"].startswith("/approvals/ap_")

    updates = await house.page("/updates")
    assert 'href="/updates/curl"' in updates
    assert "no known CVE" in updates
    assert 'href="/updates/curl"' in await house.page("/updates?q=closes:yes")
    refused = await house.page("/updates?q=close:yes")
    assert "unknown key" in refused
    assert "/updates?q=closes%3Ayes" in refused
    assert "No pending update matches." in await house.page("/updates?q=nothing-of-this")
    detail = await house.page("/updates/curl")
    assert "/rollouts/new?selection=names&amp;names=curl" in detail
    assert "apt-mark hold" in await house.page("/updates/tzdata")
    assert (await house.get("/updates/nothing")).status == 404
    assert "a line needs two days" in await house.page("/vulnerabilities/trend?days=365")


async def test_a_filter_is_followed_looked_at_and_left(house: House) -> None:
    await house.endpoint("web-01")
    page = "/vulnerabilities/trend"
    refused = await house.post(f"{page}/follow", q="prio:act")
    assert (refused.status, "unknown key" in refused.text, 'value="prio:act"' in refused.text) == (422, True, True)
    assert "nobody follows" in await house.page(f"{page}?q=source:curl")
    done = await house.post(f"{page}/follow", q="  source:curl   <b>")
    assert done.headers["location"] == f"{page}?q=source%3Acurl+%3Cb%3E&done=followed"
    done = await house.post(f"{page}/follow", q="source:curl")
    assert "its line begins today" in await house.page(done.headers["location"])
    seen = await house.page(f"{page}?q=source:curl&days=30")
    assert 'href="/vulnerabilities/trend?days=30&amp;q=source%3Acurl" aria-current="true"' in seen
    assert "source:curl &lt;b&gt;" in seen
    done = await house.post(f"{page}/unfollow", q="source:curl <b>")
    assert done.headers["location"] == f"{page}?done=unfollowed"
    assert "&lt;b&gt;" not in await house.page(page)
    assert (await house.post(f"{page}/unfollow", q="nothing")).status == 404


async def test_an_update_is_declined_and_allowed_and_every_page_says_so(house: House) -> None:
    endpoint_id = await house.endpoint("web-01")
    before = await house.page("/updates/curl")
    version = re.search(r"<option>([^<]+)</option>", before)
    assert version is not None
    assert "Nobody has declined a version of it." in before
    refused = await house.post("/updates/curl/decline", version=version[1], reason=" ")
    assert (refused.status, "say why" in refused.text) == (422, True)
    done = await house.post("/updates/curl/decline", version=version[1], reason="breaks <the> till")
    assert (done.status, done.headers["location"]) == (303, "/updates/curl?done=declined")
    page = await house.page("/updates/curl")
    assert "breaks &lt;the&gt; till" in page
    assert page.count("was declined by") >= 2  # the list, and why it is not on the endpoint yet
    assert f"<option>{version[1]}</option>" not in page
    assert "was declined by" in await house.page(f"/endpoints/{endpoint_id}/missing")
    done = await house.post("/updates/curl/allow", version=version[1], reason="new driver")
    assert done.headers["location"] == "/updates/curl?done=allowed"
    assert "was declined by" not in await house.page("/updates/curl")
    assert "was declined by" not in await house.page(f"/endpoints/{endpoint_id}/missing")


async def test_a_receiver_is_added_tried_and_removed(house: House) -> None:
    assert "Nobody is told anything." in await house.page("/settings/events")
    wrong = (await house.post("/settings/events", name="siem", address="ftp://x/", kinds="")).text
    assert "an address is https://HOST/PATH" in wrong
    assert 'value="ftp://x/"' in wrong
    made = (await house.post("/settings/events", name="siem", address="https://siem.example.org/", kinds="risk.*")).text
    assert made.count("whk_") == 1
    again = await house.page("/settings/events")
    assert "whk_" not in again
    sink = re.search(r'action="/settings/events/(sk_\w+)/test"', again)
    assert sink is not None
    assert (await house.post(f"/settings/events/{sink[1]}/test")).status == 303
    assert (await house.post(f"/settings/events/{sink[1]}/burn")).status == 404
    assert (await house.post(f"/settings/events/{sink[1]}/remove")).status == 303
    assert "Nobody is told anything." in await house.page("/settings/events")
