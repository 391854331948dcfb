"""A cell and a conductor of the version before: what they say is understood here, and they understand what is said.

The version before reads what permits closed: one word that it does not know, and it refuses the whole. So whatever says
no more than it used to must be said in the same bytes; that is what is compared here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from tests.contract import cell_exchange as fixed

from brakeline.cells import decide
from brakeline.cells.decide import Doubt
from brakeline.cells.model import (
    ANSWER_CONTEXT,
    EXCHANGE_CONTEXT,
    GRANT_CONTEXT,
    JOIN_CONTEXT,
    LEADS_KNOWN,
    Answer,
    CellPart,
    CellReport,
    Exchange,
    Grant,
    Join,
    Link,
    Member,
    MemberState,
    Refusal,
    Sent,
    Signed,
)
from brakeline.protocol.codec import decode, encode, encode_sparse
from brakeline.rollout.linked import LATER
from brakeline.rollout.model import Change, Policy
from brakeline.rollout.presets import policy_for
from brakeline.rollout.settings import led_change
from brakeline.rollout.wished import Wished

RECORDED = Path(__file__).parent / "cell-exchange-v1"
MEMBER = Member(fixed.LINK, fixed.CELL, "us", MemberState.JOINED, fixed.public(fixed.CELL_KEY))
LINK = Link(fixed.LINK, fixed.CELL, "https://berlin", "", fixed.public(fixed.CONDUCTOR_KEY))


def recorded(name: str) -> Signed:
    return decode(Signed, (RECORDED / f"{name}.json").read_bytes())


def bent(signed: Signed, context: bytes, change: Callable[[Any], None]) -> Signed:
    """The same message with more in it, signed anew by whoever may."""
    said = json.loads(signed.payload)
    change(said)
    key = fixed.CELL_KEY if context in (EXCHANGE_CONTEXT, JOIN_CONTEXT) else fixed.CONDUCTOR_KEY
    return fixed.sign(key, context, json.dumps(said, sort_keys=True, separators=(",", ":")).encode())


def test_what_a_cell_of_the_version_before_tells_is_understood_to_the_last_number() -> None:
    said = decide.heard(MEMBER, recorded("exchange"), fixed.NOW_MS)
    assert said.reports == (fixed.REPORT,)
    assert decide.plausible(said.reports[0], None, granted=6) == ""
    assert said.reports[0].treated == 7


def test_what_a_conductor_of_the_version_before_grants_is_believed() -> None:
    said = decide.answered(LINK, recorded("answer"), fixed.NOW_MS - 2000, fixed.NOW_MS)
    assert said.grants == (recorded("grant"),)
    assert not said.holds
    grant = decide.granted(LINK, said.grants[0], None, fixed.NOW_MS)
    assert grant == fixed.GRANT
    assert decide.whole(Change, grant.change) == fixed.CHANGE
    assert decide.whole(Policy, grant.policy).rings == policy_for(500).rings


def test_a_cell_of_the_version_before_can_join() -> None:
    said = decide.opened(recorded("join"), JOIN_CONTEXT, fixed.public(fixed.CELL_KEY), Join)
    assert (said.link_id, said.region) == (fixed.LINK, "us")


@pytest.mark.parametrize("name", ["grant", "answer", "join"])
def test_what_permits_is_said_in_the_bytes_that_the_version_before_understands(name: str) -> None:
    assert fixed.messages()[name] == recorded(name)


def test_what_a_cell_says_has_no_word_that_a_conductor_of_the_version_before_does_not_know() -> None:
    said = json.loads(encode_sparse(Exchange(fixed.LINK, fixed.CELL, 1, 1, "0.1.0", (fixed.REPORT,))))
    known = json.loads(recorded("exchange").payload)
    assert set(said) <= set(known)
    assert set(said["reports"][0]) <= set(known["reports"][0])
    for part, knows in zip(said["reports"][0]["parts"], known["reports"][0]["parts"], strict=True):
        assert set(part) <= set(knows)


def test_the_envelope_s_new_words_are_passed_over_by_whoever_does_not_know_them() -> None:
    plain = json.loads(encode_sparse(Sent("te_1", fixed.LINK, recorded("exchange"))))
    assert set(plain) == {"tenant_id", "link_id", "message"}  # what the version before sent
    assert decode(Sent, json.dumps(plain | {"wait_s": 10, "has": "x", "later": {"a": 1}}).encode()).wait_s == 10


@pytest.mark.parametrize(
    ("name", "context", "kind"),
    [("grant", GRANT_CONTEXT, Grant), ("answer", ANSWER_CONTEXT, Answer), ("join", JOIN_CONTEXT, Join)],
)
@pytest.mark.parametrize("value", [1, True, "more", [1], {"a": 1}])
def test_one_word_more_in_what_permits_and_the_whole_is_refused(
    name: str, context: bytes, kind: type[Any], value: Any
) -> None:
    more = bent(recorded(name), context, lambda said: said.update(later=value))
    key = fixed.public(fixed.CELL_KEY if context == JOIN_CONTEXT else fixed.CONDUCTOR_KEY)
    with pytest.raises(Doubt, match="later"):
        decide.opened(more, context, key, kind)


def test_one_word_more_in_a_granted_ring_or_policy_and_the_whole_is_refused() -> None:
    more = bent(recorded("grant"), GRANT_CONTEXT, lambda said: said["rings"][0].update(later=1))
    with pytest.raises(Doubt, match="later"):
        decide.granted(LINK, more, None, fixed.NOW_MS)
    policy = json.loads(fixed.GRANT.policy) | {"later": 1}
    with pytest.raises(Exception, match="later"):
        decide.whole(Policy, json.dumps(policy))


@pytest.mark.parametrize("value", [1, 0.5, True])
def test_more_figures_of_a_later_cell_are_passed_over_wherever_they_are(value: float) -> None:
    def more(said: Any) -> None:
        report = said["reports"][0]
        for each in (said, report, report["parts"][1], report["controls"][0], report["bets"][0], report["ended"][0]):
            each["later"] = value

    found = decide.heard(MEMBER, bent(recorded("exchange"), EXCHANGE_CONTEXT, more), fixed.NOW_MS)
    assert found.reports == (fixed.REPORT,)


@pytest.mark.parametrize("value", ["web-01", ["ep_1"], {"ep_1": 1}, None])
def test_what_is_no_figure_is_refused_in_a_report_too_for_it_could_be_somebody_s_name(value: Any) -> None:
    more = bent(recorded("exchange"), EXCHANGE_CONTEXT, lambda said: said["reports"][0]["parts"][0].update(later=value))
    with pytest.raises(Doubt, match="later"):
        decide.heard(MEMBER, more, fixed.NOW_MS)


def test_every_figure_that_was_added_since_has_a_default_so_that_a_message_without_it_is_one() -> None:
    known = json.loads(recorded("exchange").payload)["reports"][0]
    added = [f for f in fields(CellReport) if f.name not in known]
    assert all(f.default is not f.default_factory for f in added)  # both are MISSING where it has none
    bare = {k: known[k] for k in ("lead_id", "revision", "phase")}
    assert decode(CellReport, json.dumps(bare).encode()).eligible == 0


def test_what_was_added_to_what_a_cell_says_is_a_number_or_left_out_for_who_refuses_it() -> None:
    """A conductor of the version before passes numbers over; of all else it says that it does not know the field."""
    part = CellPart(0, "server", treated=2, asked=2, untaken=1)
    report = replace(fixed.REPORT, parts=(part,), refused=int(Refusal.NAME))
    said = json.loads(encode(Exchange(fixed.LINK, fixed.CELL, 1, 1, "0.1.0", (report,), leads=LEADS_KNOWN)))
    known = json.loads(recorded("exchange").payload)
    pairs = ((said, known), (said["reports"][0], known["reports"][0]),
             (said["reports"][0]["parts"][0], known["reports"][0]["parts"][0]))  # fmt: skip
    added = {name: value for mine, theirs in pairs for name, value in mine.items() if name not in theirs}
    assert {"leads", "refused", "asked", "untaken"} <= set(added)
    texts = {name for name, value in added.items() if not isinstance(value, int)}
    assert texts <= {*LATER, "orphans", "left_for"}, "these say nothing unless somebody has left a conductor"


def test_a_grant_of_settings_is_refused_whole_by_who_does_not_know_them_and_says_no_more_for_anything_else() -> None:
    wished = Wished("nights", windows=("mon-fri 22:00/05:00",))
    said = json.loads(encode_sparse(led_change(wished, "nights")))
    assert set(said) - set(json.loads(fixed.GRANT.change)) == {"wished", "kind"}
    assert set(json.loads(encode_sparse(fixed.CHANGE))) == set(json.loads(fixed.GRANT.change))
    assert "retry" not in json.loads(encode_sparse(fixed.GRANT))
    assert "retry" in json.loads(encode_sparse(replace(fixed.GRANT, retry=True)))


def test_a_recorded_message_is_bound_to_its_key_and_its_use() -> None:
    with pytest.raises(Doubt, match="not signed by the key"):
        decide.heard(replace(MEMBER, public_key=LINK.conductor_key), recorded("exchange"), fixed.NOW_MS)
    with pytest.raises(Doubt, match="not signed by the key"):
        decide.opened(recorded("grant"), ANSWER_CONTEXT, LINK.conductor_key, Answer)
    assert encode(decode(Grant, recorded("grant").payload.encode()))
