"""Grants are signed once for each change, and the number of those kept has a bound."""

from __future__ import annotations

from brakeline.protocol.messages import Settings, SettingsGrant, SignedOrder
from brakeline.remediation.granting import Grants
from brakeline.remediation.model import Had


class Signer:
    def __init__(self) -> None:
        self.signed = list[tuple[str, int]]()

    def __call__(self, grant: SettingsGrant) -> SignedOrder:
        self.signed.append((grant.endpoint_id, grant.serial))
        return SignedOrder(f"{grant.endpoint_id} {grant.serial}", "00")


def had(since_ms: int) -> Had:
    return Had(Settings(), 1, since_ms)


def test_it_is_signed_again_only_when_something_changed() -> None:
    signer = Signer()
    grants = Grants(signer)
    first = grants.of("ep_1", had(5))
    assert grants.of("ep_1", had(5)) is first
    assert grants.of("ep_1", None) is None
    grants.of("ep_1", had(6))
    assert signer.signed == [("ep_1", 5), ("ep_1", 6)]


def test_the_oldest_go_first_and_come_back_with_the_same_bytes() -> None:
    signer = Signer()
    grants = Grants(signer, kept_max=2)
    first = grants.of("ep_1", had(1))
    for name in ("ep_2", "ep_3", "ep_2", "ep_1"):
        grants.of(name, had(1))
    assert [who for who, _ in signer.signed] == ["ep_1", "ep_2", "ep_3", "ep_1"]
    assert grants.of("ep_1", had(1)) == first
