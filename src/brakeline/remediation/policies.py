"""Use cases of settings policies, and the settings of each endpoint by them.

Invariants: an endpoint that no policy matches is assessed only; what several policies say together is
`decide.effective`, and what of it holds now is `standing`: wider settings wait for a rollout of them (`settling`).
Check-ins ask for settings all the time, so who matches is remembered for `REMEMBER_S`, and forgotten when a policy
changes in this process; a fault while finding out means *assess*, never *patch*.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.core import weekly
from brakeline.core.clock import Clock
from brakeline.core.errors import Fault, Invalid, NotFound
from brakeline.core.limits import CHECK_IN_INTERVAL_S
from brakeline.fleet.model import EndpointIdentity
from brakeline.fleet.query import parse, render
from brakeline.fleet.service import FleetService
from brakeline.platform.bus import Bus
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.platform.observe import logger
from brakeline.protocol.channels import CHANNELS
from brakeline.protocol.codec import to_sparse
from brakeline.protocol.messages import Mode, Settings, SignedOrder
from brakeline.remediation import led, standing, store, store_settings
from brakeline.remediation.ahead import Ahead, ahead
from brakeline.remediation.decide import effective, followers, why
from brakeline.remediation.decide import self_update as self_update_of
from brakeline.remediation.explaining import SettingsSheet, sheet, zone_of
from brakeline.remediation.granting import Grants
from brakeline.remediation.model import POLICIES_MAX, SILENT, Had, SelfUpdate, SettingsPolicy, Words
from brakeline.remediation.remembered import Remembered
from brakeline.remediation.words import refuse_never_open
from brakeline.rollout.pace import CAREFUL
from brakeline.rollout.wished import Offered
from brakeline.tenancy import audit
from brakeline.tenancy.faults import CountMoved
from brakeline.tenancy.model import Principal
from brakeline.trust.artifacts import is_release_id

REMEMBER_S: Final = 10.0  # how late a changed tag or a policy made by another process may take effect
WAITS: Final = "What a policy adds comes by a rollout of settings: `brakeline settings plan`."
NAME_CHARS_MAX: Final = 80
REGIONS_COUNTED: Final = 16  # a preview asks for each; more regions than these are taken to be concerned
INTERVAL_S: Final = (60, 7 * 86400)


class PolicyUse:
    """Base of the use cases; `service.RemediationService` has them all."""

    def __init__(
        self, db: Database, clock: Clock, ids: IdMaker, bus: Bus, fleet: FleetService,
        check_in_interval_s: int = CHECK_IN_INTERVAL_S,
    ) -> None:  # fmt: skip
        self._db, self._clock, self._ids, self._bus, self._fleet = db, clock, ids, bus, fleet
        self._check_in_interval_s = check_in_interval_s
        self._remembered: dict[str, Remembered] = {}
        self._grants: Grants | None = None  # without a key nothing is granted

    async def effective_settings(self, identity: EndpointIdentity, reported: str = "") -> Settings:
        """What the agent of this endpoint is told. Never raises for the database: then it is *assess*.

        `reported`: digest of the settings that it says it runs by.
        """
        return await self._told(identity.tenant_id, identity.endpoint_id, reported)

    async def _told(self, tenant_id: str, endpoint_id: str, reported: str) -> Settings:
        try:
            remembered = await self._tenant(tenant_id)
            offered = led.under_way(await self._offered(tenant_id, endpoint_id), remembered.good)
            policies = remembered.policies(endpoint_id)
            has, settings = remembered.has.get(endpoint_id), offered.settings if offered else None
            on_trial = led.on_trial(policies, offered)
            found = standing.settings_told(has, effective(policies), settings, reported, on_trial)
        except Fault as e:
            logger.warning("settings-unknown", endpoint=endpoint_id, reason=str(e))
            found = effective(())
        return replace(found, check_in_interval_s=await self._interval_s(tenant_id, endpoint_id))

    async def granted(self, identity: EndpointIdentity) -> SignedOrder | None:
        """The signed order over the widest settings that this endpoint has.

        None = none, or it cannot be known now: then its agent goes on under the one that it knows.
        """
        if self._grants is None:
            return None
        try:
            remembered = await self._tenant(identity.tenant_id)
        except Fault:
            return None
        return self._grants.of(identity.endpoint_id, remembered.since.get(identity.endpoint_id))

    async def settings_sheet(self, principal: Principal, endpoint_id: str) -> SettingsSheet:
        """Each setting of an endpoint: what is in force, from which policy, since when, what waits for a rollout."""
        principal.require("policy.read")
        detail = await self._fleet.get_endpoint(principal, endpoint_id)
        told = await self._told(principal.tenant_id, endpoint_id, detail.settings)
        remembered = await self._tenant(principal.tenant_id)
        zone_ms = zone_of(detail.local)
        minute = weekly.minute_of(self._clock.now_ms() + zone_ms) if zone_ms is not None else None
        return sheet(
            remembered.since.get(endpoint_id), remembered.policies(endpoint_id), told, detail.local, minute
        )  # fmt: skip

    async def self_update(self, identity: EndpointIdentity) -> SelfUpdate:
        """Whether the launcher of this endpoint may take newer releases. `Fault` when it cannot be known now."""
        remembered = await self._tenant(identity.tenant_id)
        matching = (policy for policy, ids in remembered.matching if identity.endpoint_id in ids)
        return self_update_of(matching, remembered.revision)

    async def followers_of_early(self, tenant_id: str) -> frozenset[str]:
        """Endpoints that policies let follow the channel `early`. `Fault` when it cannot be known now."""
        return followers((await self._tenant(tenant_id)).matching)

    async def explain_self_update(self, principal: Principal, endpoint_id: str) -> SelfUpdate:
        """The same for people."""
        principal.require("policy.read")
        remembered = await self._tenant(principal.tenant_id)
        return self_update_of((p for p, ids in remembered.matching if endpoint_id in ids), remembered.revision)

    async def explain_settings(self, principal: Principal, endpoint_id: str) -> tuple[Settings, str]:
        """The settings of an endpoint, and one sentence why."""
        principal.require("policy.read")
        await self._fleet.get_endpoint(principal, endpoint_id)
        remembered = await self._tenant(principal.tenant_id)
        matching, has = remembered.policies(endpoint_id), remembered.has.get(endpoint_id)
        interval_s, wished = await self._interval_s(principal.tenant_id, endpoint_id), effective(matching)
        reason = why(matching)
        if standing.waits(has, wished):
            reason += f". {WAITS}"
        if interval_s < self._check_in_interval_s:
            reason += f" Checks in every {interval_s} s while a rollout watches it."
        return replace(standing.in_force(has, wished), check_in_interval_s=interval_s), reason

    async def _interval_s(self, tenant_id: str, endpoint_id: str) -> int:
        """Seconds between check-ins: the cell's, or a shorter one by which a rollout judges silence."""
        watched_s = await self._watched_every_s(tenant_id, endpoint_id)
        return self._check_in_interval_s if watched_s is None else min(watched_s, self._check_in_interval_s)

    async def _watched_every_s(self, tenant_id: str, endpoint_id: str) -> int | None:  # noqa: ARG002
        """Without rollouts nobody is watched."""
        return None

    async def _offered(self, tenant_id: str, endpoint_id: str) -> Offered | None:  # noqa: ARG002
        """Without rollouts nothing is offered."""
        return None

    async def _fold(self, tenant_id: str) -> None:
        """Without rollouts none completes."""

    async def policies(self, principal: Principal) -> tuple[SettingsPolicy, ...]:
        """All policies, oldest first; those of leads that have just completed among them."""
        principal.require("policy.read")
        await self._fold(principal.tenant_id)
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.policies(conn)

    async def look_ahead(self, principal: Principal, filter_text: str, pace: str = CAREFUL) -> Ahead:
        """What rollouts over the endpoints of a filter would look like at this pace. Changes nothing."""
        principal.require("policy.read")
        text = render(parse(filter_text))
        found = await self._fleet.count_matching(principal, text)
        return ahead(found, await self._regions(principal, text), pace)

    async def _regions(self, principal: Principal, text: str) -> int:
        """In how many regions endpoints match."""
        known = await self._fleet.values_of(principal.tenant_id, "region")
        if not text or len(known) > REGIONS_COUNTED:
            return len(known)
        asked = [f"{text} {render(parse(f'region:{region}'))}" for region in known]
        return sum([bool(await self._fleet.count_matching(principal, q)) for q in asked])

    async def create_policy(
        self, principal: Principal, *, name: str, filter_text: str, mode: str,
        refresh_interval_s: int | None = None, inventory_interval_s: int | None = None,
        expect_count: int | None = None, self_update: bool | None = None, pin: str = "", words: Words = SILENT,
        channel: str = "",
    ) -> SettingsPolicy:  # fmt: skip
        """Make a policy. Raises Invalid, Conflict (name taken, or not `expect_count` endpoints match)."""
        principal.require("policy.write")
        name, text = name.strip(), render(parse(filter_text))
        if not 0 < len(name) <= NAME_CHARS_MAX or not name.isprintable():
            raise Invalid(f"a policy needs a name of 1 to {NAME_CHARS_MAX} printable characters")
        if mode not in {"leave", *(m.value for m in Mode)}:
            raise Invalid(f"mode is assess, patch or leave (to other policies), not {mode!r}")
        if mode == "leave" and self_update is None and not pin and not channel and words == SILENT:
            raise Invalid("the policy says nothing: give it a mode, a window, a limit, or say something of self-update")
        if channel not in ("", *CHANNELS):
            raise Invalid(
                f"there is no channel {channel[:40]!r}; a policy says {' or '.join(CHANNELS)}, or nothing of it"
            )
        for interval in (refresh_interval_s, inventory_interval_s):
            if interval is not None and not INTERVAL_S[0] <= interval <= INTERVAL_S[1]:
                raise Invalid(f"an interval is {INTERVAL_S[0]} to {INTERVAL_S[1]} seconds", got=interval)
        if pin and not is_release_id(pin):
            raise Invalid(
                "a pin names a release, such as 1.4.0-0123456789ab; `brakeline release list` has them", got=pin
            )
        await self._check_count(principal, text, expect_count)
        policy = SettingsPolicy(
            self._ids.new("po"), name, text, None if mode == "leave" else Mode(mode), refresh_interval_s,
            inventory_interval_s, self._clock.now_ms(), principal.name, self_update, pin, words, channel=channel,
        )  # fmt: skip
        await self._refuse_never_open(principal.tenant_id, policy)
        async with self._db.tenant(principal.tenant_id) as conn:
            if len(await store.policies(conn)) >= POLICIES_MAX:
                raise Invalid(f"there are {POLICIES_MAX} policies already; merge or delete some")
            await store.insert_policy(conn, principal.tenant_id, policy)
            await store.revise(conn, principal.tenant_id)
            await audit.append(conn, self._clock, principal, "policy.create", policy.id, None, _facts(policy))
        await self._changed(principal.tenant_id)
        return policy

    async def delete_policy(self, principal: Principal, policy_id: str) -> None:
        """Remove a policy; endpoints that it let be patched are only assessed from their next check-in on."""
        principal.require("policy.write")
        async with self._db.tenant(principal.tenant_id) as conn:
            gone = await store.delete_policy(conn, policy_id)
            if gone is None:
                raise NotFound("no such policy", id=policy_id[:40])
            await store.revise(conn, principal.tenant_id)
            await audit.append(conn, self._clock, principal, "policy.delete", policy_id, _facts(gone), None)
        await self._changed(principal.tenant_id)

    async def patchable(self, tenant_id: str, endpoint_ids: list[str]) -> dict[str, str]:
        """Endpoint id -> "" where it may be patched, else why not."""
        remembered = await self._tenant(tenant_id)
        answers = {}
        for endpoint_id in endpoint_ids:
            matching, has = remembered.policies(endpoint_id), remembered.has.get(endpoint_id)
            wished = effective(matching)
            holds = standing.in_force(has, wished)
            waits = WAITS if wished.mode is Mode.PATCH else why(matching)
            answers[endpoint_id] = "" if holds.mode is Mode.PATCH else waits
        return answers

    async def _refuse_never_open(self, tenant_id: str, policy: SettingsPolicy) -> None:
        if policy.words.windows is not None:
            known, ids = await self._tenant(tenant_id), await self._fleet.matching(tenant_id, policy.filter)
            distinct = {known.policies(endpoint_id): endpoint_id for endpoint_id in ids}
            refuse_never_open(policy, ((endpoint_id, others) for others, endpoint_id in distinct.items()))

    async def _check_count(self, principal: Principal, text: str, expect_count: int | None) -> None:
        if expect_count is None:
            return
        found = await self._fleet.count_matching(principal, text)
        if found != expect_count:
            raise CountMoved(f"the filter matches {found} endpoints now, not {expect_count}", found=found)

    async def _tenant(self, tenant_id: str) -> Remembered:
        remembered = self._remembered.get(tenant_id)
        now = self._clock.monotonic_s()
        if remembered is None or now >= remembered.until_s:
            await self._fold(tenant_id)
            async with self._db.tenant(tenant_id) as conn:
                found, revision = await store.policies(conn), await store.revision(conn)
                had = await store_settings.standing(conn)
                good = await store_settings.good_rollouts(conn)
            matching = [(policy, frozenset(await self._fleet.matching(tenant_id, policy.filter))) for policy in found]
            has = {endpoint_id: one.settings for endpoint_id, one in had.items()}
            remembered = Remembered(now + REMEMBER_S, tuple(matching), revision, has, had, good)
            first = await self._adopt(tenant_id, remembered)
            remembered.has = has | {endpoint_id: one.settings for endpoint_id, one in first.items()}
            remembered.since = had | first
            self._remembered[tenant_id] = remembered
        return remembered

    async def _adopt(self, tenant_id: str, known: Remembered) -> dict[str, Had]:
        """Give first settings to endpoints that have none, as far as that goes without a rollout."""
        wished = known.wished(known.spoken_for() - known.has.keys())
        if not wished:
            return {}
        fresh = [standing.Fresh(e, s, known.policies(e)) for e, s in wished.items()]
        now_ms = self._clock.now_ms()
        async with self._db.tenant(tenant_id) as conn:
            await store_settings.lock(conn, tenant_id)
            kept = await store_settings.kept_policies(conn)
            lately = await store_settings.given_at_once(conn, now_ms - standing.FIRST_MS)
            ever = bool(known.since) or await store_settings.given_at_once(conn, 0) > 0
            given = standing.adopted(fresh, lately, kept, ever=ever)
            await store_settings.save(conn, tenant_id, ((e, wished[e], old) for e, old in given.items()), 0, now_ms)
            await store_settings.looked_at(conn)
        return {e: Had(wished[e], 0, now_ms) for e in given}

    async def _changed(self, tenant_id: str) -> None:
        """Ask again who matches, and let the waiting check-ins of all concerned answer with the new settings."""
        before = self._remembered.pop(tenant_id, Remembered(0.0, ()))
        concerned = {*before.matching, *(await self._tenant(tenant_id)).matching}
        await self._bus.publish(f"endpoint:{tenant_id}")
        for endpoint_id in sorted(frozenset().union(*(ids for _, ids in concerned))):
            await self._bus.publish(f"wake:{endpoint_id}")


def _facts(policy: SettingsPolicy) -> dict[str, object]:
    return {
        "name": policy.name, "filter": policy.filter, "mode": policy.mode.value if policy.mode else "leave",
        "refresh_interval_s": policy.refresh_interval_s, "inventory_interval_s": policy.inventory_interval_s,
        "self_update": policy.self_update, "pin": policy.pin, "words": to_sparse(policy.words),
        "channel": policy.channel,
    }  # fmt: skip
