"""Use cases of settings that wait for a rollout: what waits, plan it, make it, and take over what has proven good.

Invariants: a plan changes nothing; `start` plans again and refuses when it is not what was seen; one rollout of
settings of an organisation is under way at a time; only a *completed* one changes what endpoints have (`_fold`,
level-triggered: late, twice or after a crash it comes to the same end). A halt needs no act here: what endpoints have
was never touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from brakeline.core.errors import Fault, Invalid
from brakeline.fleet.model import EndpointIdentity
from brakeline.platform.database import Connection
from brakeline.protocol.codec import to_sparse
from brakeline.protocol.messages import Settings
from brakeline.remediation import led, standing, store, store_settings
from brakeline.remediation.decide import effective
from brakeline.remediation.policies import PolicyUse
from brakeline.remediation.standing import Difference
from brakeline.remediation.store_settings import Version
from brakeline.rollout import arms, power
from brakeline.rollout.settings import Course, SettingsRollouts, change_of, policy_of
from brakeline.rollout.view import RingView
from brakeline.rollout.wished import Offered, Proven, Wished
from brakeline.rollout.wording import reason
from brakeline.tenancy import audit
from brakeline.tenancy.faults import CountMoved
from brakeline.tenancy.model import Principal, system_principal
from brakeline.tenancy.two_people import Request

SHOWN: Final = 50  # endpoints named in a plan
UNDER_WAY: Final = {"draft": "is a draft", "holding": "is held", "rolling": "is rolling out"}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits, per endpoint: what it has, and what policies wish."""

    has: dict[str, Settings]
    wished: dict[str, Settings]


@dataclass(frozen=True, slots=True)
class SettingsPlan:
    """What a rollout of settings would do now. `endpoints` and `digest` are what `start` takes."""

    endpoints: int
    digest: str
    differences: tuple[Difference, ...]
    named: tuple[str, ...]  # the first of them
    pace: str
    rings: tuple[RingView, ...]
    statistics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SettingsStanding:
    """Where settings stand. `version` is the newest that has completed; 0 = everybody runs by first settings."""

    version: int
    rolling: Version | None
    course: Course | None
    waiting: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Started:
    """A version that was made, and its rollout."""

    version: int
    rollout_id: str
    endpoints: int


class SettingsUse(PolicyUse):
    """See the module."""

    _settings_rollouts: SettingsRollouts

    async def _offered(self, tenant_id: str, endpoint_id: str) -> Offered | None:
        return await self._settings_rollouts.offered(tenant_id, endpoint_id)

    async def still_wished(self, identity: EndpointIdentity, settings: Settings, words: Wished | None) -> bool:
        """Whether policies allow all of this by now, with the `words` of a lead. For `rollout.offering`, before each
        offer; False without data."""
        try:
            policies = (await self._tenant(identity.tenant_id)).policies(identity.endpoint_id)
        except Fault:
            return False
        return standing.allows(effective(led.beside(policies, words) if words is not None else policies), settings)

    async def _fold(self, tenant_id: str) -> None:
        """What completed rollouts have proven is from now on what their endpoints have."""
        async with self._db.tenant(tenant_id) as conn:
            open_ = [v for v in await store_settings.versions(conn) if not v.good_ms]
        for version in reversed(open_):
            proven = await self._settings_rollouts.proven(tenant_id, version.rollout_id)
            if proven is None or not (proven.settings or proven.led):
                continue
            async with self._db.tenant(tenant_id) as conn:
                await store_settings.lock(conn, tenant_id)
                if await store_settings.is_open(conn, version.version):
                    await self._good(conn, tenant_id, version, proven)

    async def _good(self, conn: Connection, tenant_id: str, version: Version, proven: Proven) -> None:
        """What its endpoints have from now on; of a lead, its words are a policy as well."""
        now_ms, good = self._clock.now_ms(), dict(proven.settings)
        if proven.led is not None:
            had = await store_settings.standing(conn)
            good = led.kept({e: one.settings for e, one in had.items()}, good)
            await self._install(conn, tenant_id, proven.led, version.rollout_id, version.made_by)
        found = ((endpoint_id, settings, False) for endpoint_id, settings in good.items())
        await store_settings.save(conn, tenant_id, found, version.version, now_ms)
        await store_settings.set_good(conn, version.version, now_ms)

    async def _install(self, conn: Connection, tenant_id: str, words: Wished, by_what: str, by: str) -> None:
        """The words of a lead that has come to its end are a policy here, in the place of what was led under their
        name. A policy of the cell's own that has taken the name since keeps it."""
        known = await store.policies(conn)
        for former in (p for p in known if p.led and p.name == words.name):
            await store.delete_policy(conn, former.id)
        if not words.takes_away:
            taken = any(p.name == words.name and not p.led for p in known)
            made = led.policy_of(words, by_what, self._clock.now_ms(), by)
            made = replace(made, name=f"{made.name[:40]}, led {by_what}") if taken else made
            await store.insert_policy(conn, tenant_id, made)
        await store.revise(conn, tenant_id)
        facts = {"name": words.name, "filter": words.filter, "words": to_sparse(words), "by": by}
        who = system_principal(tenant_id, "conductor")
        await audit.append(conn, self._clock, who, "policy.led", by_what, None, facts)

    async def waiting_settings(self, tenant_id: str) -> Waiting:
        """Endpoints whose policies wish more than they have."""
        known = await self._tenant(tenant_id)
        wished = {e: s for e, s in known.wished(known.spoken_for()).items() if standing.waits(known.has.get(e), s)}
        return Waiting({e: standing.in_force(known.has.get(e), s) for e, s in wished.items()}, wished)

    async def plan_settings(self, principal: Principal, pace: str = "careful") -> SettingsPlan:
        """What a rollout of settings would change where, and by which rings. Changes nothing."""
        principal.require("policy.read")
        found = await self.waiting_settings(principal.tenant_id)
        count, digest = len(found.wished), standing.digest(found.wished)
        policy, change = policy_of(count, pace), change_of(digest, "settings")
        rings = arms.rings_for(policy, change, count) if count else ()
        return SettingsPlan(
            count, digest if count else "", standing.differences(found.has, found.wished),
            tuple(sorted(found.wished)[:SHOWN]), pace, tuple(RingView(r.name, r.bake_s, upto) for r, upto in rings),
            power.power(policy, change, count, 1).sentences if count else (),
        )  # fmt: skip

    async def start_settings(
        self, principal: Principal, expect_count: int, digest: str, *, pace: str = "careful", start: bool = True
    ) -> Started:
        """Make the version that `plan_settings` shows, and its rollout. `CountMoved` when it is not what was seen."""
        principal.require("policy.write")
        found = await self.waiting_settings(principal.tenant_id)
        targets = await self._active(principal, found.wished)
        if not found.wished:
            raise Invalid("nothing waits: every endpoint has what its policies wish")
        if len(found.wished) != expect_count:
            raise CountMoved(f"{len(found.wished)} endpoints would be changed, not {expect_count}", found=len(targets))
        if digest != standing.digest(found.wished):
            raise CountMoved("the settings are not those that you saw", digest=standing.digest(found.wished))
        if not targets:
            raise Invalid("no endpoint for which settings wait is active")
        title = f"Settings for {len(targets)} endpoint{'' if len(targets) == 1 else 's'}"
        rollout_id = await self._settings_rollouts.create(principal, title, digest, targets, pace)
        version = await self._record_version(principal, rollout_id, digest, len(targets))
        if start:
            await self._settings_rollouts.start(principal, rollout_id)
        return Started(version.version, rollout_id, len(targets))

    async def settings_waiting(self, principal: Principal, made: Started) -> Request | None:
        """What has to be agreed to before its rollout starts."""
        return await self._settings_rollouts.waiting(principal, made.rollout_id)

    async def _active(self, principal: Principal, wished: dict[str, Settings]) -> dict[str, Settings]:
        active = await self._fleet.matching(principal.tenant_id, "state:active")
        return {e: wished[e] for e in active if e in wished}

    async def _record_version(self, principal: Principal, rollout_id: str, digest: str, endpoints: int) -> Version:
        tenant_id, now_ms = principal.tenant_id, self._clock.now_ms()
        async with self._db.tenant(tenant_id) as conn:
            await store_settings.lock(conn, tenant_id)
            made = await store_settings.add_version(
                conn, tenant_id, rollout_id, digest, endpoints, now_ms, principal.name
            )  # fmt: skip
            facts = {"version": made.version, "digest": digest, "endpoints": endpoints}
            await audit.append(conn, self._clock, principal, "settings.start", rollout_id, None, facts)
        return made

    async def settings_standing(self, principal: Principal) -> SettingsStanding:
        """Which version is good, which is rolling out and how far it is, and what waits."""
        principal.require("policy.read")
        tenant_id = principal.tenant_id
        waiting = len((await self.waiting_settings(tenant_id)).wished)
        async with self._db.tenant(tenant_id) as conn:
            versions = await store_settings.versions(conn)
            at_once = await store_settings.given_at_once(conn, 0)
        good = max((v.version for v in versions if v.good_ms), default=0)
        newest = next((v for v in versions if not v.good_ms and v.version > good), None)
        course = await self._settings_rollouts.course(tenant_id, newest.rollout_id) if newest else None
        return SettingsStanding(good, newest, course, waiting, sentence(good, newest, course, waiting, at_once))


def sentence(good: int, newest: Version | None, course: Course | None, waiting: int, at_once: int = 0) -> str:
    """Where it stands, for people."""
    if newest is not None and course is not None:
        head, why = f"version {newest.version}", reason(course.why, {})
        if course.state == "halted":
            return f"{head} was halted, and whoever had it runs by what it had before: {why}"
        if course.state in UNDER_WAY:
            ring = f"ring {course.ring}, " if course.ring else ""
            return f"{head} {UNDER_WAY[course.state]}: {ring}{course.taken} of {course.targets} ({why})"
    if waiting:
        one = "endpoint waits" if waiting == 1 else "endpoints wait"
        text = f"{waiting} {one} for a rollout of settings; nobody has started it: brakeline settings plan"
        if not good and not newest and at_once:
            began = f"the first policy began at once on {at_once} endpoint{'' if at_once == 1 else 's'}; "
            text = f"{began}{text}. More than {standing.FIRST_MAX} that were there before it go by rings"
        return text
    return f"version {good} is everywhere" if good else "every endpoint runs by its first settings"
