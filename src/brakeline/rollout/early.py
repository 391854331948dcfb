"""What one cell knows of the channel `early`: who follows it by policy, for whom its rollouts were. In memory.

Invariants: what cannot be known now stays as it was known last; a release that was recalled or withdrawn is held ready
for nobody, whatever its rollout came to. `channels` and `leases` decide; `releasing` keeps this up to date.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from typing import Final

from brakeline.core.errors import Fault
from brakeline.fleet.model import EndpointIdentity
from brakeline.platform.database import Connection
from brakeline.platform.observe import logger
from brakeline.protocol.channels import EARLY
from brakeline.protocol.launcher_report import LauncherReport
from brakeline.releases.service import ReleasesService
from brakeline.rollout import channels, leases
from brakeline.rollout.channels import Passed
from brakeline.rollout.leases import Early, Place
from brakeline.rollout.live import LiveRollout
from brakeline.rollout.model import Change
from brakeline.rollout.service import RolloutService
from brakeline.rollout.store import arms as arms_store
from brakeline.rollout.store.rollouts import RolloutRow

Followers = Callable[[str], Awaitable[frozenset[str]]]
NOBODY: Final = frozenset[str]()


class Follows:
    """See the module. `finished`: completed rollouts of releases by tenant, as `releasing` reads them."""

    def __init__(self, service: RolloutService, releases: ReleasesService,
                 finished: Mapping[str, tuple[RolloutRow, ...]]) -> None:  # fmt: skip
        self._rollouts, self._releases, self._finished = service, releases, finished
        self._places: dict[str, dict[str, Place]] = {}  # of rollouts that were completed in `early`
        self._known: dict[str, frozenset[str]] = {}  # by tenant, as they were known last
        self.followers: Followers | None = None  # whoever knows what policies say; without it nobody follows
        service.passed_over = self.passed_over

    async def now(self, tenant_id: str) -> frozenset[str]:
        """Who follows `early`. `Fault` when it cannot be known now."""
        if self.followers is not None:
            self._known[tenant_id] = await self.followers(tenant_id)
        return self._known.get(tenant_id, NOBODY)

    async def look(self, tenant_id: str) -> None:
        """The same in each round. What fails keeps nobody from leases and recalls: it stays as it was known last."""
        try:
            await self.now(tenant_id)
        except Fault as e:
            logger.warning("followers-unknown", tenant=tenant_id, reason=str(e))

    async def read(self, conn: Connection, rows: Iterable[RolloutRow]) -> None:
        """For whom completed rollouts to `early` were: never changes, so it is read once."""
        for row in rows:
            if row.change.channel == EARLY and row.rollout_id not in self._places:
                found = await arms_store.targets(conn, row.rollout_id)
                self._places[row.rollout_id] = {t.endpoint_id: (t.region, t.u) for t in found}

    async def passed_over(self, identity: EndpointIdentity, report: LauncherReport | None, change: Change) -> Passed:
        """For `offering`: why an endpoint takes no part in the rollout of a release; "" = it does."""
        assert change.release is not None
        tenant_id, endpoint_id, product = identity.tenant_id, identity.endpoint_id, change.release.product
        follows = endpoint_id in await self.now(tenant_id)
        had = channels.newest_had(report, product, self._releases.known())
        return channels.passed_over(change, follows, had, self.known(tenant_id).brings(product, endpoint_id))

    def known(self, tenant_id: str, live: Iterable[LiveRollout] = ()) -> Early:
        """Everything at this moment. `live`: rollouts whose places are wanted, too."""
        followers, places = self._known.get(tenant_id, NOBODY), dict[str, Mapping[str, Place]](self._places)
        for x in live:
            if x.row.change.release is not None:
                mine = followers.intersection(x.targets)
                places[x.row.rollout_id] = {i: (x.targets[i].region, x.targets[i].u) for i in mine}
        rows = self.usable(self._finished.get(tenant_id, ()))
        stands = leases.standing(rows, self._rollouts.journal.all_pressed(tenant_id))
        return Early(followers, places, {product: row for (name, product), row in stands.items() if name == EARLY})

    def usable(self, rows: Iterable[RolloutRow]) -> tuple[RolloutRow, ...]:
        """Those of releases that nobody has recalled or withdrawn."""
        free = {r.release_id for r in self._releases.known() if r.state == "published"}
        return tuple(r for r in rows if r.change.release is not None and r.change.release.release_id in free)

    def brought(self, tenant_id: str, release_id: str, endpoint_id: str) -> bool:
        """Whether a rollout of this release to `early` is or was for this endpoint."""
        rows: list[tuple[RolloutRow, Container[str]]] = [
            (x.row, x.targets) for x in self._rollouts.live.of(tenant_id) or ()
        ]
        rows += [(r, self._places.get(r.rollout_id, {})) for r in self._finished.get(tenant_id, ())]
        return any(
            row.change.release is not None and row.change.release.release_id == release_id and endpoint_id in ids
            for row, ids in rows
        )
