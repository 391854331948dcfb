"""Orders to launchers, as policies wish them: signed once, kept while they stay the same, so that replies do too.

A fault while finding out means no order in this reply; the launcher goes on with the one that it has.
"""

from __future__ import annotations

from brakeline.core.errors import Fault
from brakeline.fleet.model import EndpointIdentity
from brakeline.platform.observe import logger
from brakeline.protocol.channels import channel_of
from brakeline.releases.service import ReleasesService
from brakeline.remediation.model import SelfUpdate
from brakeline.remediation.service import RemediationService


class FollowOrders:
    """Called by `exchange` for each reply that is composed; "" where no policy has ever said anything."""

    def __init__(self, remediation: RemediationService, releases: ReleasesService) -> None:
        self._remediation, self._releases = remediation, releases
        self._signed: dict[str, tuple[SelfUpdate, str]] = {}

    async def __call__(self, identity: EndpointIdentity) -> str:
        try:
            wished = await self._remediation.self_update(identity)
        except Fault as e:
            logger.warning("follow-order-unknown", endpoint=identity.endpoint_id, reason=str(e))
            return ""
        if not wished.generation:
            return ""
        known = self._signed.get(identity.endpoint_id)
        if known is None or known[0] != wished or not known[1]:
            channel = channel_of(identity.tenant_id, wished.channel)
            text = self._releases.follow_order(
                identity.endpoint_id, wished.generation, channel, wished.on, wished.pin
            )  # fmt: skip
            known = self._signed[identity.endpoint_id] = (wished, text)
        return known[1]
