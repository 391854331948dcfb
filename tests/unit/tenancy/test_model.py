"""Roles are sets of permissions; permissions are asked for by name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakeline.core.errors import Bug, Forbidden, Invalid
from brakeline.tenancy.audit import Entry, check_chain, entry_hash
from brakeline.tenancy.model import (
    PERMISSIONS,
    ROLE_PERMISSIONS,
    ApiToken,
    Principal,
    made_through,
    permissions_of,
    system_principal,
)

ROLES = st.lists(st.sampled_from(sorted(ROLE_PERMISSIONS)))


@given(ROLES, ROLES)
def test_more_roles_never_allow_less(some: list[str], more: list[str]) -> None:
    assert permissions_of(some) <= permissions_of(some + more)


def test_who_sees_what() -> None:
    assert permissions_of(["owner"]) == PERMISSIONS
    assert all(p.endswith(".read") for p in permissions_of(["viewer"]))
    assert "people.manage" not in permissions_of(["operator", "approver", "viewer"])
    assert permissions_of([]) == frozenset()
    for role in ("owner", "operator", "approver"):  # whoever may set a rollout going, or on, may stop it
        assert "rollout.brake" in ROLE_PERMISSIONS[role]


def test_the_permissions_are_the_documented_ones() -> None:
    documented = """
        endpoint.read endpoint.enrol endpoint.manage exposure.read rollout.read rollout.create rollout.brake
        rollout.resume rollout.approve policy.read policy.write people.manage token.manage audit.read settings.read
        limits.write release.read release.publish release.recall
    """
    assert sorted(PERMISSIONS) == sorted(documented.split())


def test_tokens_made_through_a_person_are_found_in_whatever_order_they_are_listed() -> None:
    def token(token_id: str, maker: str) -> ApiToken:
        return ApiToken(token_id, "", "", (), maker, 0, 0)

    tokens = [token("c", "b"), token("x", "pe_2"), token("b", "a"), token("a", "pe_1"), token("d", "pe_1")]
    assert {t.token_id for t in made_through("pe_1", tokens)} == {"a", "b", "c", "d"}
    assert made_through("pe_3", tokens) == ()


def test_a_refusal_names_the_permission_and_who_has_it() -> None:
    viewer = Principal("te_a", "pe_1", "person", "Vera", permissions_of(["viewer"]))
    viewer.require("endpoint.read")
    with pytest.raises(Forbidden, match=r"Vera lacks the permission people\.manage; it comes with: owner\."):
        viewer.require("people.manage")


def test_a_mistyped_permission_or_role_is_no_silent_no() -> None:
    with pytest.raises(Bug):
        system_principal("te_a", "t").may("people.mange")
    with pytest.raises(Invalid, match="no role 'root'"):
        permissions_of(["root"])


FIELD = st.text(max_size=5)


@given(st.lists(FIELD, min_size=7, max_size=7), st.lists(FIELD, min_size=7, max_size=7))
def test_different_entries_have_different_hashes(one: list[str], two: list[str]) -> None:
    """Also where one field's end could be another's beginning."""

    def hashed(fields: list[str]) -> bytes:
        return entry_hash("te_a", Entry(1, 5, *fields, b"", b""))  # type: ignore[arg-type]

    assert (hashed(one) == hashed(two)) == (one == two)


def test_an_entry_of_another_tenant_does_not_fit_into_the_chain() -> None:
    entry = Entry(1, 5, "system", "s", "S", "a.b", "o", "", "", b"", b"")
    moved = Entry(1, 5, "system", "s", "S", "a.b", "o", "", "", b"", entry_hash("te_a", entry))
    assert check_chain("te_a", [moved], (1, moved.hash)).intact
    assert "entry 1 was changed" in check_chain("te_b", [moved], (1, moved.hash)).problem
