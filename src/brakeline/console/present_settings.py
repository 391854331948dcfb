"""Where settings stand -> what the page of policies shows. Pure."""

from __future__ import annotations

from typing import Final

from brakeline.console.present import plural
from brakeline.console.views import Link
from brakeline.console.views_settings import SettingsView, Wider
from brakeline.remediation.settling import UNDER_WAY, SettingsPlan, SettingsStanding

NAMES: Final = {
    "mode": "mode", "inventory_interval_s": "seconds between full scans",
    "refresh_interval_s": "seconds between looks for newer package lists",
}  # fmt: skip


def settings_view(now: SettingsStanding, plan: SettingsPlan) -> SettingsView:
    """The sentence, the rollout that it speaks of, and what could be started."""
    rollout = Link("its rollout", f"/rollouts/{now.rolling.rollout_id}") if now.rolling else None
    busy = now.course is not None and now.course.state in UNDER_WAY
    rings = ", ".join(f"{r.name}: {plural(r.upto, 'endpoint')}" for r in plan.rings)
    wider = tuple(Wider(NAMES[d.setting], d.before, d.after, d.endpoints) for d in plan.differences)
    digest = plan.digest if plan.endpoints and not busy else ""
    return SettingsView(now.sentence, rollout, plan.endpoints, wider, rings, digest)
