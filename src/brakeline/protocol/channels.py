"""Channels of releases: a stream that endpoints follow. Each tenant has its own: a lease of one reaches no other.

Leases are public and name no endpoint, so tenants are told apart by the channel that an endpoint learns at enrolment.
Whoever follows `early`, by a signed follow order, gets what is promoted to `early` and what is promoted to `stable`.
"""

from __future__ import annotations

STABLE = "stable"
EARLY = "early"
CHANNELS = (STABLE, EARLY)


def channel_of(tenant_id: str, name: str = STABLE) -> str:
    """The tenant's own channel `name`, as leases, follow orders and launchers spell it."""
    return f"{name}/{tenant_id}"
