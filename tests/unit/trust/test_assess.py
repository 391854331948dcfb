"""What an endpoint believes, and the attacks of TUF's list and of a stolen key of ours, each by doing it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.support_trust import CLOCK, DAY_MS, ENDPOINT, NONCE, NOW_MS, WHO, Repository, bundle, without

from brakeline.core.draw import U_END, draw
from brakeline.core.ids import make_id
from brakeline.trust.assess import assess
from brakeline.trust.model import Assessment, ClockReading, Documents, Floors, Who
from brakeline.trust.statements import ONLY_MAX
from brakeline.trust.times import instant

EMPTY = Documents()


@pytest.fixture
def repo() -> Repository:
    return Repository()


@pytest.fixture
def release(repo: Repository) -> str:
    release_id = repo.publish("2.0.0", bundle("2.0.0", {"agent.pyz": b"two"}), 2)
    repo.offer(release_id)
    return release_id


def look(repo: Repository, fetched: Documents | None, cached: Documents = EMPTY, who: Who = WHO,
         clock: ClockReading = CLOCK, floors: Floors = Floors(), pinned: str = "") -> Assessment:  # noqa: B008  # fmt: skip
    return assess(pinned or repo.roots[0], cached, fetched, who, clock, floors)


def codes(assessment: Assessment) -> set[str]:
    return {p.code for p in assessment.problems}


def test_what_everybody_agrees_on_is_offered(repo: Repository, release: str) -> None:
    seen = look(repo, repo.documents())
    assert seen.problems == ()
    assert seen.offered is not None
    assert (seen.offered.release_id, seen.offered.sequence, seen.fresh) == (release, 2, True)
    assert seen.now_ms == NOW_MS
    assert (seen.floors.timestamp, seen.floors.targets, seen.floors.recall) == (2, 2, 1)


def test_without_network_the_cache_counts_and_nothing_is_offered(repo: Repository, release: str) -> None:
    repo.recalled.append(release)
    first = look(repo, repo.documents())
    again = look(repo, None, cached=first.documents, floors=first.floors)
    assert (again.offered, again.recalled, again.fresh) == (None, frozenset({release}), False)
    assert again.problems == ()


# --- TUF's list of attacks -----------------------------------------------------------------------------------------


def test_rollback_is_refused_though_the_cache_is_lost(repo: Repository, release: str) -> None:
    """A torn cache let python-tuf's client go back; the floors of the state record do not."""
    old = repo.documents()
    repo.bump()
    seen = look(repo, repo.documents())
    back = look(repo, old, floors=seen.floors)
    assert back.offered is None
    assert "rollback" in codes(back)
    assert back.floors.timestamp == seen.floors.timestamp


def test_freeze_ends_when_the_timestamp_expires(repo: Repository, release: str) -> None:
    frozen = without(repo.documents(), "time")
    later = ClockReading(NOW_MS + 2 * DAY_MS)
    seen = look(repo, frozen, clock=later)
    assert seen.offered is None
    assert "metadata_expired" in codes(seen)


def test_a_clock_set_back_does_not_thaw_what_has_expired(repo: Repository, release: str) -> None:
    frozen = without(repo.documents(), "time")
    floors = Floors(time_ms=NOW_MS + 2 * DAY_MS)  # newest signed time ever seen
    seen = look(repo, frozen, clock=ClockReading(NOW_MS - 3650 * DAY_MS), floors=floors)
    assert seen.offered is None
    assert "metadata_expired" in codes(seen)


def test_a_clock_far_ahead_installs_nothing_until_the_cell_tells_the_time(repo: Repository, release: str) -> None:
    ahead = ClockReading(NOW_MS + 400 * DAY_MS, NONCE)
    floors = Floors(time_ms=NOW_MS)
    alone = look(repo, without(repo.documents(), "time"), clock=ahead, floors=floors)
    assert (alone.offered, alone.now_ms) == (None, 0)
    assert "clock_skew" in codes(alone)
    told = look(repo, repo.documents(), clock=ahead, floors=floors)
    assert told.offered is not None
    assert told.problems == ()


def test_an_old_answer_to_another_nonce_is_not_the_time(repo: Repository, release: str) -> None:
    seen = look(repo, replace(repo.documents(), time=repo.time("aa" * 16)))
    assert "stale" in codes(seen)
    assert not seen.fresh


def test_mix_and_match(repo: Repository, release: str) -> None:
    one = repo.documents()
    repo.publish("3.0.0", bundle("3.0.0", {"agent.pyz": b"three"}), 3)
    other = repo.documents()
    for mixed in (replace(other, targets=one.targets), replace(other, snapshot=one.snapshot)):
        seen = look(repo, mixed)
        assert seen.offered is None
        assert "mix_and_match" in codes(seen)


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets", "recall", "time"])
def test_arbitrary_bytes_are_left_out(repo: Repository, release: str, name: str) -> None:
    text = getattr(repo.documents(), name)
    forged = (
        text.replace('"signed"', '"Signed"'),
        "",
        "{}",
        "[]",
        "null",
        '{"signed":{},"signatures":[]}',
        text[:-40],
        "\x00",
    )
    for bad in (*forged, '{"signed":' + "[" * 100_000):
        seen = look(repo, replace(repo.documents(), **{name: bad}))
        assert seen.offered is None or name in ("recall", "time")
        assert not seen.recalled


def test_a_field_changed_after_signing(repo: Repository, release: str) -> None:
    plain = json.loads(repo.documents().targets)
    plain["signed"]["version"] = 2
    plain["signed"]["expires"] = "2099-01-01T00:00:00Z"
    seen = look(repo, replace(repo.documents(), targets=json.dumps(plain)))
    assert seen.offered is None
    assert "threshold" in codes(seen)


def test_endless_data(repo: Repository, release: str) -> None:
    seen = look(repo, replace(repo.documents(), timestamp=" " * 2_000_000 + repo.documents().timestamp))
    assert "too_large" in codes(seen)


def test_fast_forward_of_a_stolen_timestamp_key_is_capped_and_heals(repo: Repository, release: str) -> None:
    seen = look(repo, repo.documents())
    repo.versions["timestamp"] = 2**31
    stolen = look(repo, repo.documents(), cached=seen.documents, floors=seen.floors)
    assert "version_jump" in codes(stolen)
    assert stolen.floors.timestamp == seen.floors.timestamp
    repo.versions["timestamp"] = 900_000
    inside = look(repo, repo.documents(), cached=seen.documents, floors=seen.floors)
    assert inside.floors.timestamp == 900_000
    repo.versions["timestamp"] = 3
    repo.rotate("timestamp")
    healed = look(repo, repo.documents(), cached=inside.documents, floors=inside.floors)
    assert healed.offered is not None, healed.problems
    assert healed.floors.timestamp == 3


def test_a_root_follows_only_with_both_sets_of_keys(repo: Repository, release: str) -> None:
    repo.rotate("root", "targets")
    assert look(repo, repo.documents()).offered is not None
    stranger = Repository()
    stranger.versions["root"] = 3
    seen = look(repo, replace(repo.documents(), roots=(*repo.roots[1:], stranger.root_text())))
    assert "threshold" in codes(seen)
    assert seen.floors.root == 2


def test_keys_that_a_root_has_exchanged_open_nothing_though_the_cache_is_lost(repo: Repository, release: str) -> None:
    """A stolen set of keys, given up by the next root: whoever loses the cache and is shown no root but the old one
    must not believe them again, and nothing that they sign may lock the new ones out."""
    stolen = dict(repo.keys)
    repo.rotate("timestamp", "snapshot", "targets", "cell", "conductor", "recall")
    seen = look(repo, repo.documents())
    assert (seen.floors.root, seen.offered is not None) == (2, True)
    thief = Repository()
    thief.keys, thief.roots, thief.versions = stolen, [repo.roots[0]], dict.fromkeys(repo.versions, 900_000)
    evil = thief.publish("9.0.0", bundle("9.0.0", {"agent.pyz": b"evil"}, 9), 9)
    thief.offer(evil)
    thief.pardons.append({"release_id": release, "recall": 900_000})
    back = look(repo, thief.documents(), floors=seen.floors)
    assert (back.offered, back.known, back.pardoned, back.now_ms, back.fresh) == (None, (), frozenset(), 0, False)
    assert "rollback" in codes(back)
    assert back.floors == seen.floors
    healed = look(repo, repo.documents(), cached=back.documents, floors=back.floors)
    assert healed.offered == seen.offered


def test_a_recall_holds_under_an_old_root(repo: Repository, release: str) -> None:
    repo.recalled.append(release)
    first = look(repo, repo.documents())
    back = look(repo, None, cached=first.documents, floors=replace(first.floors, root=first.floors.root + 2))
    assert back.recalled == {release}
    assert back.documents == first.documents


def test_threshold_counts_a_key_once(repo: Repository, release: str) -> None:
    repo.thresholds["targets"] = 2
    repo.versions["root"] += 1
    repo.roots.append(repo.root_text())
    plain = json.loads(repo.documents().targets)
    for signatures, code in ((plain["signatures"], "threshold"), (plain["signatures"] * 2, "malformed")):
        plain["signatures"] = signatures
        seen = look(repo, replace(repo.documents(), targets=json.dumps(plain)))
        assert seen.offered is None
        assert code in codes(seen)


# --- stolen keys of ours -------------------------------------------------------------------------------------------


def test_a_stolen_cell_key_installs_nothing_unsigned(repo: Repository, release: str) -> None:
    evil = Repository(keys=dict(repo.keys))
    evil.keys = dict(repo.keys)
    evil_id = evil.publish("9.9.9", bundle("9.9.9", {"agent.pyz": b"evil"}), 9)
    seen = look(repo, replace(repo.documents(), leases=(evil.lease(evil_id),)))
    assert seen.offered is None
    assert "unsigned" in codes(seen)


def test_a_stolen_cell_key_cannot_widen_its_grant(repo: Repository, release: str) -> None:
    narrow = repo.grant(release, draw_below=10)
    forged = repo.grant(release, key="cell")
    later = {"issued": instant(repo.now_ms + 601_000), "expires": instant(repo.now_ms + 1_200_000)}
    for lease, code in (
        (repo.lease(release, grant=narrow), "widened"),
        (repo.lease(release, grant=forged), "threshold"),
        (repo.lease(release, grant=repo.grant(release, generation=4)), "other_grant"),
        (repo.lease(release, grant=repo.grant(release, rollout_id="ro_2")), "other_grant"),
        (repo.lease(release, grant=repo.grant(release, sha256="0" * 64)), "other_grant"),
        (repo.lease(release, grant=repo.grant(release, salt="11" * 32)), "other_grant"),
        (repo.lease(release, expires="2026-11-23T01:00:00Z"), "too_long"),
        (repo.lease(release, grant=repo.grant(release, expires="2027-11-23T00:00:00Z")), "too_long"),
        (repo.lease(release, **later, grant=repo.grant(release, **later)), "ahead"),  # a stock for after the theft
        (repo.lease(release, grant=repo.grant(release, **later)), "ahead"),
    ):
        seen = look(repo, replace(repo.documents(), leases=(lease,)))
        assert seen.offered is None
        assert code in codes(seen), (code, seen.problems)


MONTH_MS = 30 * DAY_MS
SALT = "07" * 32  # that of `Repository.lease`


def a_month_later(repo: Repository, before: Assessment) -> tuple[Assessment, ClockReading]:
    """The endpoint has gone on looking; nothing is leased any more, and the cell has signed a new timestamp."""
    repo.leased = []
    repo.now_ms += MONTH_MS
    repo.bump("snapshot", "timestamp")
    clock = ClockReading(repo.now_ms, NONCE)
    return look(repo, repo.documents(), cached=before.documents, clock=clock, floors=before.floors), clock


def set_back(repo: Repository, *leases: str, to_ms: int = NOW_MS) -> Documents:
    """What a thief of the cell's key serves: the present documents, a past time over our nonce, leases of that time."""
    return replace(repo.documents(), time=repo.time(NONCE, now_ms=to_ms), leases=leases)


def then(repo: Repository, release: str, grant: dict[str, object], **fields: object) -> str:
    """A lease that the thief signs today and dates into the life of a grant that was recorded then."""
    dated = {"issued": instant(NOW_MS), "expires": instant(NOW_MS + 600_000)}
    return repo.lease(release, grant=grant, **dated | fields)


def test_a_stolen_cell_key_that_signs_a_past_time_revives_a_grant_and_metadata_that_have_expired(
    repo: Repository, release: str
) -> None:
    """Not prevented: the signed time wins over the clock and over the floor. Grants are public, inside every lease."""
    recorded, grant = repo.documents(), repo.grant(release, salt=SALT)
    first = look(repo, without(recorded, "leases"))
    frozen = look(repo, without(recorded, "time"), cached=first.documents, clock=ClockReading(NOW_MS + MONTH_MS))
    assert (frozen.offered, codes(frozen)) == (None, {"metadata_expired"})
    stale = look(repo, replace(recorded, time=repo.time(NONCE)), cached=first.documents, floors=first.floors,
                 clock=ClockReading(NOW_MS + MONTH_MS, NONCE))  # fmt: skip
    assert stale.offered is not None, "expired metadata, as long as nothing newer was seen"

    today, clock = a_month_later(repo, first)
    assert (today.offered, today.problems, today.floors.time_ms) == (None, (), NOW_MS + MONTH_MS)
    for lease, code in ((then(repo, release, grant), "expired"), (repo.lease(release, grant=grant), "too_long")):
        seen = look(repo, replace(repo.documents(), leases=(lease,)), clock=clock, floors=today.floors)
        assert (seen.offered, codes(seen)) == (None, {code}), "with the true time nobody believes it"

    ended = repo.lease(release, generation=4, draw_below=0, grant=repo.grant(release, generation=4, draw_below=0))
    today = look(repo, replace(repo.documents(), leases=(ended,)), clock=clock, floors=today.floors)
    assert (today.offered, today.problems) == (None, ()), "a later generation is seen, and not remembered"
    seen = look(repo, set_back(repo, then(repo, release, grant)), clock=clock, floors=today.floors)
    assert seen.offered is not None
    assert (seen.offered.release_id, seen.fresh, seen.problems) == (release, True, ())
    assert (seen.now_ms, seen.floors.time_ms) == (NOW_MS, NOW_MS), "the floor of the time has fallen"
    assert replace(seen.floors, time_ms=0) == replace(today.floors, time_ms=0), "no other has"


def test_a_past_time_of_a_stolen_cell_key_lifts_no_other_bound(repo: Repository, release: str) -> None:
    u = draw(bytes.fromhex(SALT), ENDPOINT)
    grant, old = repo.grant(release, salt=SALT), repo.documents()
    narrow, forged = repo.grant(release, draw_below=u, salt=SALT), repo.grant(release, key="cell", salt=SALT)
    today, clock = a_month_later(repo, look(repo, repo.documents()))
    beyond = {"issued": instant(NOW_MS + 300_000), "expires": instant(NOW_MS + 900_000)}
    for lease, code in (
        (then(repo, release, narrow), "widened"),
        (then(repo, release, narrow, draw_below=u), ""),  # not this endpoint's share
        (then(repo, release, narrow, draw_below=u, salt="11" * 32), "other_grant"),
        (then(repo, release, grant, generation=4), "other_grant"),
        (then(repo, release, grant, rollout_id="ro_2"), "other_grant"),
        (then(repo, release, forged), "threshold"),
        (then(repo, release, grant, expires=instant(NOW_MS + 3_600_000)), "too_long"),
        (then(repo, release, grant, **beyond), "too_long"),
    ):
        seen = look(repo, set_back(repo, lease), clock=clock, floors=today.floors)
        assert (seen.offered, codes(seen)) == (None, {code} - {""}), (code, seen.problems)

    lease, floors = then(repo, release, grant), today.floors
    back = look(repo, replace(old, time=repo.time(NONCE, now_ms=NOW_MS), leases=(lease,)), clock=clock, floors=floors)
    assert (back.offered, "rollback" in codes(back)) == (None, True), "what is signed never goes back"
    newer = look(repo, set_back(repo, lease), clock=clock, floors=replace(floors, sequence=3))
    assert (newer.offered, codes(newer)) == (None, {"downgrade"}), "nor behind what was confirmed here"
    ahead = look(repo, set_back(repo, lease, to_ms=NOW_MS - 601_000), clock=clock, floors=floors)
    assert (ahead.offered, codes(ahead)) == (None, {"ahead"}), "the lie has to be the grant's own ten minutes"
    order = repo.follow(generation=2, self_update=False)
    pinned = look(repo, replace(set_back(repo, lease), follow=order), clock=clock, floors=floors)
    assert (pinned.offered, codes(pinned)) == (None, {"pinned"})
    repo.versions["timestamp"] += 2_000_000
    jump = look(repo, set_back(repo, lease), clock=clock, floors=floors)
    assert (jump.offered, codes(jump)) == (None, {"version_jump"})
    repo.versions["timestamp"] -= 2_000_000
    repo.recalled.append(release)
    repo.versions["recall"] += 1
    told = look(repo, repo.documents(), clock=clock, floors=floors)
    recalled = look(repo, set_back(repo, lease), cached=told.documents, clock=clock, floors=told.floors)
    assert (recalled.offered, recalled.recalled) == (None, {release})
    repo.recalled.clear()
    del repo.files[repo.target(release).path]  # its signers have taken it out of the targets
    repo.bump()
    gone = look(repo, set_back(repo, lease), clock=clock, floors=floors)
    assert (gone.offered, codes(gone)) == (None, {"unsigned"})


def test_a_grant_without_a_salt_bounds_no_thief_who_may_choose_one(repo: Repository, release: str) -> None:
    """What a cell's own conductor signs names no salt; with the cell's key each salt reaches others (0033)."""
    narrow = repo.grant(release, draw_below=U_END // 4)
    salts = [f"{n:02x}" * 32 for n in range(64)]
    reached = [s for s in salts if draw(bytes.fromhex(s), ENDPOINT) < U_END // 4]
    assert 0 < len(reached) < len(salts)
    today, clock = a_month_later(repo, look(repo, repo.documents()))
    for salt in salts:
        lease = then(repo, release, narrow, draw_below=U_END // 4, salt=salt)
        seen = look(repo, set_back(repo, lease), clock=clock, floors=today.floors)
        assert (seen.offered is not None) == (salt in reached)


def test_a_past_time_hides_that_a_recall_list_is_old_and_ends_with_the_theft(repo: Repository, release: str) -> None:
    lease = then(repo, release, repo.grant(release))
    old = repo.recall()
    today, clock = a_month_later(repo, look(repo, repo.documents()))
    honest = look(repo, replace(repo.documents(), recall=old), clock=clock, floors=today.floors)
    lied = look(repo, replace(set_back(repo, lease), recall=old), clock=clock, floors=today.floors)
    assert ("recall_expired" in codes(honest), lied.problems) == (True, ())
    true = look(repo, replace(repo.documents(), leases=(lease,)), cached=lied.documents, clock=clock,
                floors=lied.floors)  # fmt: skip
    assert (true.offered, codes(true), true.floors.time_ms) == (None, {"expired"}, repo.now_ms), "one true answer heals"
    alone = look(repo, None, cached=lied.documents, clock=clock, floors=lied.floors)
    assert (alone.now_ms, codes(alone)) == (0, {"clock_skew"}), "without an answer: nothing new"
    stolen = set_back(repo, lease)
    repo.rotate("cell")
    after = look(repo, replace(stolen, roots=tuple(repo.roots[1:])), cached=lied.documents, clock=clock,
                 floors=today.floors)  # fmt: skip
    assert (after.offered, after.fresh, "threshold" in codes(after)) == (None, False, True), "a root without that key"


def test_what_permits_with_a_field_that_is_not_known_permits_nothing(repo: Repository, release: str) -> None:
    """It may be one that narrows; what forbids holds whatever else it says."""
    for lease in (
        repo.lease(release, only_at_night=True),
        repo.lease(release, grant=repo.grant(release, only_in_ring=3)),
    ):
        seen = look(repo, replace(repo.documents(), leases=(lease,)))
        assert (seen.offered, codes(seen)) == (None, {"unknown_field"})
    seen = look(repo, replace(repo.documents(), recall=repo.recall(releases=[{"release_id": release}], more=1)))
    assert seen.recalled == {release}


def test_a_stolen_conductor_key_signs_no_lease(repo: Repository, release: str) -> None:
    seen = look(repo, replace(repo.documents(), leases=(repo.lease(release, key="conductor"),)))
    assert seen.offered is None
    assert "threshold" in codes(seen)


def test_a_stolen_recall_key_can_only_forbid(repo: Repository, release: str) -> None:
    for make in (
        lambda: replace(repo.documents(), leases=(repo.lease(release, key="recall"),)),
        lambda: replace(repo.documents(), leases=(repo.lease(release, grant=repo.grant(release, key="recall")),)),
    ):
        assert look(repo, make()).offered is None
    repo.recalled.append(release)
    seen = look(repo, repo.documents())
    assert seen.recalled == {release}
    assert seen.offered is None


def test_a_lease_is_over_after_its_time(repo: Repository, release: str) -> None:
    old = repo.documents().leases
    repo.now_ms += 601_000
    seen = look(repo, replace(repo.documents(), leases=old))
    assert seen.offered is None
    assert "expired" in codes(seen)


def test_a_lease_for_others(repo: Repository, release: str) -> None:
    u = draw(bytes.fromhex("07" * 32), ENDPOINT)
    assert 0 < u < U_END
    for fields in ({"draw_below": u}, {"region": "us"}, {"channel": "early"}, {"enrolled_before_ms": 1}):
        repo.offer(release, **fields)
        seen = look(repo, repo.documents())
        assert (seen.offered, seen.problems) == (None, ())
    repo.offer(release, draw_below=u + 1, region="eu", enrolled_before_ms=NOW_MS + 365 * DAY_MS)
    assert look(repo, repo.documents()).offered is not None


def test_a_lease_for_some_draws_alone(repo: Repository, release: str) -> None:
    u = draw(bytes.fromhex("07" * 32), ENDPOINT)
    for only in ([], [u - 1, u + 1]):
        repo.offer(release, only=only)
        seen = look(repo, repo.documents())
        assert (seen.offered, seen.problems) == (None, ())
    repo.offer(release, only=[3, u])
    assert look(repo, repo.documents()).offered is not None
    repo.offer(release, draw_below=u, only=[u])  # it narrows; it never widens
    assert look(repo, repo.documents()).offered is None
    for bad in ("all", [str(u)], [-1], [True], list(range(ONLY_MAX + 1)), {"u": u}, None):
        repo.offer(release, only=bad)
        seen = look(repo, repo.documents())
        assert seen.offered is None
        assert "malformed" in codes(seen)


def test_a_ground_endpoint_id_wins_nothing(repo: Repository, release: str) -> None:
    """Ids are the server's; one that somebody made to be drawn early is younger than the rollout, or none at all."""
    repo.offer(release, enrolled_before_ms=NOW_MS)
    for endpoint_id in (make_id("ep", NOW_MS + 1, bytes(10)), make_id("ep", NOW_MS, bytes(10))):
        assert look(repo, repo.documents(), who=replace(WHO, endpoint_id=endpoint_id)).offered is None


def test_another_cell(repo: Repository, release: str) -> None:
    seen = look(repo, repo.documents(), who=replace(WHO, cell="other"))
    assert seen.offered is None
    assert "unknown_role" in codes(seen)


# --- recalls -------------------------------------------------------------------------------------------------------


def test_an_expired_recall_forbids_still(repo: Repository, release: str) -> None:
    repo.recalled.append(release)
    seen = look(repo, None, cached=repo.documents(), clock=ClockReading(NOW_MS + 30 * DAY_MS))
    assert seen.recalled == {release}


def test_a_recall_holds_without_a_clock_and_beside_expired_metadata(repo: Repository, release: str) -> None:
    repo.recalled.append(release)
    repo.lifetimes_d = dict.fromkeys(repo.lifetimes_d, -1.0)
    seen = look(repo, repo.documents(), clock=ClockReading(0, NONCE))
    assert seen.recalled == {release}


def test_only_the_offline_keys_take_a_recall_back(repo: Repository, release: str) -> None:
    repo.recalled.append(release)
    first = look(repo, repo.documents())
    assert first.recalled == {release}
    repo.pardons.append({"release_id": release, "recall": 1})
    repo.bump()
    assert look(repo, repo.documents(), floors=first.floors).recalled == frozenset()
    repo.versions["recall"] = 2  # recalled anew
    assert look(repo, repo.documents(), floors=first.floors).recalled == {release}


def test_an_older_recall_list_does_not_replace_a_newer(repo: Repository, release: str) -> None:
    old = repo.recall()
    repo.recalled.append(release)
    repo.versions["recall"] = 5
    first = look(repo, repo.documents())
    back = look(repo, replace(repo.documents(), recall=old), cached=first.documents, floors=first.floors)
    assert back.recalled == {release}
    assert "rollback" in codes(back)


# --- what policy says ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"self_update": False}, {"pin": "1.0.0-000000000000"}])
def test_self_update_off_or_pinned_says_so(repo: Repository, release: str, fields: dict[str, object]) -> None:
    seen = look(repo, replace(repo.documents(), follow=repo.follow(**fields)))
    assert seen.offered is None
    assert "pinned" in codes(seen)


def test_a_follow_order_for_another_or_replayed(repo: Repository, release: str) -> None:
    for text, code in (
        (repo.follow(endpoint_id="ep_other", pin="x"), "other_endpoint"),
        (repo.follow(key="conductor", pin="x"), "threshold"),
        (repo.follow(generation=1, pin="x"), "rollback"),
    ):
        seen = look(repo, replace(repo.documents(), follow=text), floors=Floors(follow=2))
        assert code in codes(seen)
        assert seen.offered is not None  # an order that is not believed pins nothing


def test_a_bad_release_cannot_pin_itself_against_a_recall(repo: Repository, release: str) -> None:
    repo.recalled.append(release)
    seen = look(repo, replace(repo.documents(), follow=repo.follow(pin=release, self_update=False)))
    assert seen.recalled == {release}


def test_never_older_than_confirmed_never_another_platform(repo: Repository, release: str) -> None:
    assert "downgrade" in codes(look(repo, repo.documents(), floors=Floors(sequence=3)))
    other = repo.publish("2.1.0", bundle("2.1.0", {"agent.pyz": b"x"}), 3, platform="windows-x86_64")
    repo.offer(other)
    assert "wrong_platform" in codes(look(repo, repo.documents()))


def test_same_version_with_another_hash_is_another_release(repo: Repository, release: str) -> None:
    lease = json.loads(repo.documents().leases[0])
    lease["signed"]["release"]["sha256"] = "0" * 64
    lease["signed"]["grant"] = repo.grant(release, sha256="0" * 64)
    seen = look(repo, replace(repo.documents(), leases=(json.dumps(repo.sign("cell", lease["signed"])),)))
    assert seen.offered is None
    assert "mismatch" in codes(seen)


def test_content_is_signed_by_its_own_key_and_only_below_its_folder(repo: Repository) -> None:
    content = repo.publish("1.0.0", b"rules", 1, product="content")
    repo.offer(content)
    who = replace(WHO, product="content")
    assert look(repo, repo.documents(), who=who).offered is not None
    genuine = repo.documents()
    repo.keys["content"] = repo.keys["recall"]
    assert look(repo, replace(genuine, content=repo.documents().content), who=who).offered is None
    assert look(repo, replace(genuine, content=genuine.content.replace("1.0.0", "1.0.1")), who=who).offered is None


def test_the_content_key_cannot_sign_an_agent_nor_the_targets_key_content(repo: Repository) -> None:
    """Whatever a target calls itself: what lies below content/ is content, and nothing else is."""
    evil = repo.publish("9.0.0", bundle("9.0.0", {"agent.pyz": b"evil"}, 9), 9, product="content")
    target = repo.target(evil)
    target.unrecognized_fields["custom"]["product"] = "agent"  # with the stolen content key
    repo.leased = [{"release_id": evil}]
    for who in (WHO, replace(WHO, also=("content", "launcher"))):
        seen = look(repo, repo.documents(), who=who)
        assert (seen.offered, seen.also) == (None, ())
        assert evil not in {o.release_id for o in seen.known if o.product != "content"}
    rules = repo.publish("9.1.0", b"rules", 9, product="agent")  # with the stolen targets key
    repo.target(rules).unrecognized_fields["custom"]["product"] = "content"
    repo.leased = [{"release_id": rules}]
    seen = look(repo, repo.documents(), who=replace(WHO, also=("content", "launcher")))
    assert (seen.offered, seen.also) == (None, ())


# --- several products in one look ----------------------------------------------------------------------------------

EVERYTHING = replace(WHO, also=("content", "launcher"))


@pytest.fixture
def three(repo: Repository) -> tuple[str, str, str]:
    """A release of each product, all leased to everybody."""
    agent = repo.publish("2.0.0", bundle("2.0.0", {"agent.pyz": b"two"}), 2)
    content = repo.publish("5.0.0", b"rules", 5, product="content")
    launcher = repo.publish("1.1.0", b"program", 3, product="launcher")
    repo.leased = [{"release_id": r} for r in (launcher, content, agent)]
    return agent, content, launcher


def test_one_look_asks_for_several_products(repo: Repository, three: tuple[str, str, str]) -> None:
    agent, content, launcher = three
    seen = look(repo, repo.documents(), who=EVERYTHING)
    assert seen.problems == ()
    assert seen.offered is not None
    assert (seen.offered.release_id, [o.release_id for o in seen.also]) == (agent, [content, launcher])
    assert {o.release_id for o in seen.known} == set(three)
    alone = look(repo, repo.documents())
    assert (alone.also, [o.release_id for o in alone.known]) == ((), [agent])


def test_each_product_has_its_own_floor(repo: Repository, three: tuple[str, str, str]) -> None:
    agent, content, launcher = three
    for floors, left in (
        (Floors(sequence=3), {content, launcher}),
        (Floors(content_sequence=6), {agent, launcher}),
        (Floors(launcher_sequence=4), {agent, content}),
    ):
        seen = look(repo, repo.documents(), who=EVERYTHING, floors=floors)
        assert {o.release_id for o in (seen.offered, *seen.also) if o} == left
        assert codes(seen) == {"downgrade"}
        assert (seen.floors.sequence, seen.floors.content_sequence, seen.floors.launcher_sequence) == (
            floors.sequence, floors.content_sequence, floors.launcher_sequence,
        )  # fmt: skip


def test_the_newest_of_each_product(repo: Repository, three: tuple[str, str, str]) -> None:
    newer = repo.publish("1.2.0", b"newer program", 4, product="launcher")
    repo.leased.insert(1, {"release_id": newer})
    assert newer in {o.release_id for o in look(repo, repo.documents(), who=EVERYTHING).also}
    repo.recalled.append(newer)
    seen = look(repo, repo.documents(), who=EVERYTHING)
    assert [o.product for o in seen.also] == ["content"]
    assert newer in seen.recalled


def test_a_pin_is_the_agents_alone_and_self_update_off_is_for_all(
    repo: Repository, three: tuple[str, str, str]
) -> None:
    _, content, launcher = three
    pinned = look(repo, replace(repo.documents(), follow=repo.follow(pin="1.0.0-000000000000")), who=EVERYTHING)
    assert (pinned.offered, [o.release_id for o in pinned.also]) == (None, [content, launcher])
    off = look(repo, replace(repo.documents(), follow=repo.follow(self_update=False)), who=EVERYTHING)
    assert (off.offered, off.also) == (None, ())


def test_a_launcher_cannot_be_leased_as_an_agent(repo: Repository, three: tuple[str, str, str]) -> None:
    launcher = three[2]
    lease = json.loads(repo.lease(launcher))
    lease["signed"]["release"]["product"] = "agent"
    seen = look(repo, replace(repo.documents(), leases=(json.dumps(repo.sign("cell", lease["signed"])),)))
    assert (seen.offered, codes(seen)) == (None, {"mismatch"})
