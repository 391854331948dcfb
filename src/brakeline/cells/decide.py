"""What is believed of what came over a link. Pure: bytes and what is known in, a value or `Doubt` out.

Invariants: nothing that is not signed by the other end's registered key, for this link, newer than the last and young
is read any further; a report that cannot be true makes its cell doubtful; a grant is believed whole or not at all. A
doubt never widens: whoever is doubted gets no grants, and what has no grant holds.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final, TypeVar

from brakeline.cells import residency
from brakeline.cells.model import (
    ANSWER_CONTEXT,
    BETS_MAX,
    COUNT_MAX,
    EXCHANGE_CONTEXT,
    GENERATION_JUMP_MAX,
    GRANT_CONTEXT,
    GRANT_MS_MAX,
    HELD_S_MAX,
    REPORTS_MAX,
    RINGS_MAX,
    SKEW_MAX_MS,
    Answer,
    CellReport,
    Exchange,
    Grant,
    Link,
    Member,
    MemberState,
    Orphan,
    Sent,
    Signed,
    Stand,
)
from brakeline.core.draw import U_END
from brakeline.core.errors import Fault
from brakeline.protocol.codec import Malformed, decode, to_plain
from brakeline.trust import ed25519

T = TypeVar("T")
SALT: Final = re.compile(r"[0-9a-f]{64}")
COUNTER_MAX: Final = 2**53
LOG_MAX: Final = 1e7  # no sum of logs of bets comes near


class Doubt(Fault):
    """What came over the link of a cell is not believed."""

    code, status = "cell-doubted", 409
    hint = "Nothing was widened by it; everything that waits for this link holds."


UNKNOWN_FIELD: Final = "unknown_field"  # `why` of a `Doubt` whose `field` this version does not know


def _doubt(code: str, text: str) -> Doubt:
    return Doubt(text, why=code)


def opened(signed: Signed, context: bytes, key: str, kind: type[T], *, counts: bool = False) -> T:
    """The message in `signed`. `Doubt` where the key did not sign it or it is not understood whole; of one that only
    `counts`, numbers that a later version added are passed over."""
    payload = signed.payload.encode()
    try:
        public, signature = bytes.fromhex(key), bytes.fromhex(signed.signature)
    except ValueError:
        raise _doubt("signature", "the signature is no hex text") from None
    if not ed25519.verify(public, context + payload, signature):
        raise _doubt("signature", "it is not signed by the key that was registered for this link")
    try:
        message = decode(kind, payload)
        _nothing_unknown(json.loads(payload), to_plain(message), "$", counts)
    except Malformed as e:
        field = e.context.get("field")
        why = {"why": "malformed"} if field is None else {"why": UNKNOWN_FIELD, "field": field}
        raise Doubt(f"it is not understood: {e.detail}", **why) from None
    return message


def whole(kind: type[T], text: str) -> T:
    """A part of a grant. `Malformed` where this version does not know a field of it."""
    found = decode(kind, text.encode())
    _nothing_unknown(json.loads(text), to_plain(found), "$")
    return found


def _nothing_unknown(said: Any, known: Any, where: str, counts: bool = False) -> None:
    """What permits must be understood whole, and what counts must hold nothing besides counts: more of these are
    passed over, a text is not."""
    if isinstance(said, dict) and isinstance(known, dict):
        for key, value in said.items():
            if key not in known and counts and isinstance(value, (int, float)):
                continue
            if key not in known:
                name = str(key)[:40]
                raise Malformed(f"{where} has a field {name!r} that this version does not know", field=name)
            _nothing_unknown(value, known[key], f"{where}.{key}", counts)
    elif isinstance(said, list):
        for i, (mine, theirs) in enumerate(zip(said, known, strict=True)):
            _nothing_unknown(mine, theirs, f"{where}[{i}]", counts)


# --- at the conductor -------------------------------------------------------------------------------------------------


def heard(member: Member, signed: Signed, now_ms: int) -> Exchange:
    """What a member says. `Doubt` for another's name, a repeated or older message, a clock too far from ours."""
    said = opened(signed, EXCHANGE_CONTEXT, member.public_key, Exchange, counts=True)
    check_exchange(member, said, now_ms)
    return said


def check_exchange(member: Member, said: Exchange, now_ms: int) -> None:
    """The part of `heard` behind the signature."""
    if member.state in (MemberState.INVITED, MemberState.ISOLATED):
        raise _doubt("not_joined", f"this cell is {member.state.value}")
    if (said.link_id, said.cell) != (member.link_id, member.cell):
        raise _doubt("other_cell", "it speaks for another cell")
    if said.counter <= member.counter:
        raise _doubt("replayed", f"its counter {said.counter} does not rise above {member.counter}")
    if abs(now_ms - said.sent_ms) > SKEW_MAX_MS:
        apart = abs(now_ms - said.sent_ms) // 1000
        raise _doubt("clock_skew", f"its clock and the conductor's are {apart} s apart (limit {SKEW_MAX_MS // 1000} s)")
    if said.counter > COUNTER_MAX:
        raise _doubt("malformed", "its counter is absurdly high")
    if not 0 <= said.left_generation <= member.generation + GENERATION_JUMP_MAX or len(said.left_for) > 200:
        raise _doubt("malformed", "the generation for which it has left makes no sense")
    if not 0 <= said.leads <= COUNT_MAX:
        raise _doubt("malformed", "what it can be led in makes no sense")
    if len(said.orphans) > REPORTS_MAX or any(map(_odd, said.orphans)):
        raise _doubt("malformed", "a lead that it tells of makes no sense")
    if len(said.reports) > REPORTS_MAX or len({r.lead_id for r in said.reports}) != len(said.reports):
        raise _doubt("malformed", "it reports too much, or one lead twice")


def _odd(o: Orphan) -> bool:
    """Whether a lead of a former conductor cannot be one; texts of it are decoded by whoever takes it over."""
    counts = (o.revision, o.size, o.treated, *(n for r in o.rings for n in (r.upto, r.bake_s)))
    return (
        not residency.LEAD_ID.fullmatch(o.lead_id)
        or len(o.rings) > RINGS_MAX
        or any(not 0 <= n <= COUNT_MAX for n in counts)
        or len(o.title) > 200
        or (o.salt != "" and not SALT.fullmatch(o.salt))
    )


def held_s(sent: Sent) -> int:
    """How long the answer may be held open for news: as asked, within bounds, and never where nothing was told yet."""
    return max(0, min(sent.wait_s, HELD_S_MAX)) if sent.has else 0


def essence(grants: Iterable[Grant]) -> str:
    """What makes a cell act in what it is granted, in one word: all of it but when it ends, its words, and what is
    signed anew for endpoints each time (`draw_below` says whether there is any)."""
    said = [
        [g.lead_id, g.link_id, g.generation, g.revision, g.stand.value, g.change, g.policy, g.filter, g.salt,
         g.draw_below, [[r.name, r.bake_s, r.upto] for r in g.rings]]
        for g in sorted(grants, key=lambda g: g.lead_id)
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def plausible(report: CellReport, last: CellReport | None, granted: int) -> str:
    """Why a report cannot be true; "" = it can. `granted`: the most endpoints that this cell was ever granted."""
    if problem := residency.foreign(report):
        return problem
    if problem := _numbers(report):
        return problem
    if report.counted > granted:
        return f"it treats {report.counted} endpoints where {granted} were granted"
    if last is None:
        return ""
    if report.treated < last.treated:
        return f"it treated {last.treated} endpoints, and now {report.treated}"
    if report.revision < last.revision or report.ring < last.ring:
        return "it goes back to an older grant or ring"
    return ""


def _numbers(report: CellReport) -> str:
    counts = [report.revision, report.eligible, report.data_age_s, report.ring + 1, report.refused]
    for part in report.parts:
        p = to_plain(part)
        counts += [v for v in p.values() if isinstance(v, int)]
        below = ((part.set_aside, part.treated), (part.known, part.treated), (part.proven, part.known),
                 (part.passed, part.treated), (part.passed_known, part.passed), (part.passed_proven, part.passed_known),
                 (part.open, part.treated), (part.failed, part.treated), (part.failed_news, part.failed),
                 (part.seen, part.treated), (part.baked, part.treated), (part.consenting, part.treated),
                 (part.restarted, part.consenting), (part.excused, part.consenting),
                 (part.asked, part.treated), (part.untaken, part.asked))  # fmt: skip
        if any(small > large for small, large in below):
            return "more of its endpoints are proven, failed or watched than were treated"
        if part.ring > report.ring:
            return "it treats endpoints of a ring that it has not opened"
    counts += [n for c in report.controls for n in (c.controls, c.heard)] + [
        n for e in report.ended for n in (e.ended, e.failed)
    ]
    if any(not 0 <= n <= COUNT_MAX for n in counts):
        return "a count is negative or absurdly high"
    if any(c.heard > c.controls for c in report.controls) or any(e.failed > e.ended for e in report.ended):
        return "a part is larger than its whole"
    if len(report.bets) + len(report.harms) + len(report.vitals) > BETS_MAX or any(
        not math.isfinite(x) or abs(x) > LOG_MAX for b in (*report.bets, *report.harms, *report.vitals) for x in b.bets
    ):
        return "a bet is no number that evidence could give"
    return ""


# --- in the cell ------------------------------------------------------------------------------------------------------


def answered(link: Link, signed: Signed, counter: int, now_ms: int) -> Answer:
    """What the conductor says to the message `counter`. `Doubt` for anything else, and for a clock too far off."""
    said = opened(signed, ANSWER_CONTEXT, link.conductor_key, Answer)
    check_answer(link, said, counter, now_ms)
    return said


def check_answer(link: Link, said: Answer, counter: int, now_ms: int) -> None:
    """The part of `answered` behind the signature."""
    if said.link_id != link.link_id or said.counter != counter:
        raise _doubt("replayed", "it answers another cell, or another message than was sent")
    if abs(now_ms - said.sent_ms) > SKEW_MAX_MS:
        apart = abs(now_ms - said.sent_ms) // 1000
        raise _doubt("clock_skew", f"the conductor's clock and ours are {apart} s apart")


def granted(link: Link, signed: Signed, kept: Grant | None, now_ms: int) -> Grant:
    """The grant in `signed`. `Doubt` unless it is the conductor's, for this cell, young, and goes on from `kept`."""
    grant = opened(signed, GRANT_CONTEXT, link.conductor_key, Grant)
    check_grant(link, grant, kept, now_ms)
    return grant


def check_grant(link: Link, grant: Grant, kept: Grant | None, now_ms: int) -> None:
    """The part of `granted` behind the signature."""
    if (grant.link_id, grant.cell) != (link.link_id, link.cell):
        raise _doubt("other_cell", "the grant is for another cell")
    if grant.generation != link.generation:
        older = "an older" if grant.generation < link.generation else "a newer"
        raise _doubt("generation", f"the grant is of {older} conductor (generation {grant.generation}) than the one "
                     f"that this cell has joined (generation {link.generation})")  # fmt: skip
    if not 0 < grant.expires_ms - grant.issued_ms <= GRANT_MS_MAX:
        raise _doubt("too_long", "a grant lives ten minutes at most")
    if now_ms >= grant.expires_ms:
        raise _doubt("expired", "the grant has expired")
    if grant.issued_ms - now_ms > SKEW_MAX_MS:
        raise _doubt("clock_skew", "the grant comes from the future")
    if not 0 <= grant.draw_below <= U_END or (grant.draw_below and not grant.salt):
        raise _doubt("malformed", "the grant's share of the draw makes no sense")
    if len(grant.rings) > RINGS_MAX or any(r.upto < 0 or r.bake_s < 0 for r in grant.rings):
        raise _doubt("malformed", "the grant's rings make no sense")
    if any(a.upto > b.upto for a, b in zip(grant.rings, grant.rings[1:], strict=False)):
        raise _doubt("malformed", "a later ring is smaller than an earlier one")
    if kept is not None:
        _follows(kept, grant)


def _follows(kept: Grant, grant: Grant) -> None:
    """Rings are only added, one with anybody in it at a time; what is rolled out never changes, and how only before
    anybody here had a ring; older is refused. So it is too for whoever has taken the lead over."""
    if (grant.revision, grant.issued_ms) < (kept.revision, kept.issued_ms):
        raise _doubt("rollback", "the grant is older than one that this cell has seen")
    begun = any(r.upto for r in kept.rings)
    same = (kept.change, kept.filter, kept.salt)
    if (grant.change, grant.filter, grant.salt) != same or (begun and grant.policy != kept.policy):
        raise _doubt(
            "other_change", "the grant is for another change or policy than the one that goes on under this name"
        )
    rings = kept.rings
    if grant.generation > kept.generation and not begun:
        rings = ()  # nobody of this cell was in them: whoever has taken it over may begin anew
    if grant.rings[: len(rings)] != rings:
        raise _doubt("other_rings", "the grant changes a ring that was opened")
    uptos = [0, *(r.upto for r in grant.rings)]  # rings that add nobody here may come together
    if sum(b > a for a, b in zip(uptos[len(rings) :], uptos[len(rings) + 1 :], strict=False)) > 1:
        raise _doubt("two_rings", "the grant opens two rings at once")
    if kept.stand is Stand.HALT and grant.stand is not Stand.HALT:
        raise _doubt("unhalted", "the conductor has halted this; it starts a new one instead")
