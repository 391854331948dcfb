"""Settings over cells: made at a conductor, followed in a cell. What the words come to is decided in `led`.

Invariants: at the conductor nothing is known but the words; in the cell they are a rollout over its own endpoints, one
of settings at a time, inside its own policies, and they become a policy here only when it has completed, or where
nobody was concerned, when the conductor says that all have. Why a cell takes no part is a sentence on its own page and
a number at the conductor's. Next: `rollout.conducting`, `rollout.linked`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from brakeline.core.errors import Bug, Fault
from brakeline.fleet.query import parse, render
from brakeline.protocol.messages import Settings
from brakeline.remediation import led, store
from brakeline.remediation.led import Concerned
from brakeline.remediation.model import SettingsPolicy
from brakeline.remediation.settling import SettingsUse
from brakeline.rollout.conducting import Conducting, LeadView
from brakeline.rollout.model import Change, Policy
from brakeline.rollout.settings import led_change
from brakeline.rollout.wished import Wished
from brakeline.tenancy.model import Principal


class LeadingUse(SettingsUse):
    """See the module."""

    conducting: Conducting | None = None  # whoever wires a server puts it here

    async def lead_settings(
        self, principal: Principal, wished: Wished, cells: Sequence[str] = (), pace: str = "careful", title: str = ""
    ) -> LeadView:
        """A draft over these cells; each tells with its next exchange for how many endpoints the words make a
        difference, or that it takes no part and why."""
        principal.require("policy.write")
        if self.conducting is None:
            raise Bug("nobody conducts here")
        wished = replace(wished, filter=render(parse(wished.filter)))
        led.check(wished)
        title = title.strip() or f"Settings {wished.name}"
        change = led_change(wished, title)
        return await self.conducting.create(principal, title, change, wished.filter, cells, pace)

    # --- in a cell, for `rollout.linked` ------------------------------------------------------------------------------

    async def led_targets(self, tenant_id: str, wished: Wished) -> Mapping[str, Settings]:
        """What each endpoint here would run by for which the words make a difference; a `Fault` says why they cannot
        be followed."""
        text = f"{render(parse(wished.filter))} state:active".strip()
        known, ids = await self._tenant(tenant_id), await self._fleet.matching(tenant_id, text)
        concerned = [Concerned(endpoint_id, known.policies(endpoint_id)) for endpoint_id in ids]
        led.refuse(concerned, (policy for policy, _ in known.matching), wished)
        return led.targets(concerned, wished)

    async def follow_led(self, who: Principal, change: Change, policy: Policy, targets: Mapping[str, Settings]) -> str:
        """The draft over these endpoints; its rollout."""
        rollout_id = await self._settings_rollouts.follow(who, change, policy, targets)
        await self._record_version(who, rollout_id, change.updates[0].version, len(targets))
        return rollout_id

    async def settle_led(self, who: Principal, lead_id: str, wished: Wished) -> None:
        """A lead that concerned nobody here has come to its end: its words hold for whoever comes later."""
        led.refuse((), await self._policies(who.tenant_id), wished)
        async with self._db.tenant(who.tenant_id) as conn:
            await self._install(conn, who.tenant_id, wished, lead_id, who.name)
        await self._changed(who.tenant_id)

    async def _policies(self, tenant_id: str) -> tuple[SettingsPolicy, ...]:
        async with self._db.tenant(tenant_id) as conn:
            return await store.policies(conn)

    def led_refusal(self, fault: Fault) -> int:
        """Why, as the number that may leave the cell."""
        return led.refusal_of(fault)
