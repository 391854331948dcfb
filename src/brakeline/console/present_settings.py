"""Where settings stand -> what the pages of policies and of one endpoint show. Pure."""

from __future__ import annotations

from brakeline.console.present import ago, plural
from brakeline.console.views import Link
from brakeline.console.views_change import PolicyForm
from brakeline.console.views_settings import SettingsView, SheetRow, SheetView, Wider
from brakeline.core.errors import Invalid
from brakeline.protocol.settings import NAMES, shown
from brakeline.remediation.decide import WORDS
from brakeline.remediation.explaining import SettingLine, SettingsSheet
from brakeline.remediation.model import Words
from brakeline.remediation.settling import UNDER_WAY, SettingsPlan, SettingsStanding
from brakeline.remediation.words import parsed


def settings_view(now: SettingsStanding, plan: SettingsPlan) -> SettingsView:
    """The sentence, the rollout that it speaks of, and what could be started."""
    rollout = Link("its rollout", f"/rollouts/{now.rolling.rollout_id}") if now.rolling else None
    busy = now.course is not None and now.course.state in UNDER_WAY
    rings = ", ".join(f"{r.name}: {plural(r.upto, 'endpoint')}" for r in plan.rings)
    wider = tuple(Wider(NAMES[d.setting], d.before, d.after, d.endpoints) for d in plan.differences)
    digest = plan.digest if plan.endpoints and not busy else ""
    return SettingsView(now.sentence, rollout, plan.endpoints, wider, rings, digest)


def policy_words(form: PolicyForm) -> Words:
    """What the form says of when and how. `Invalid` names the field that is wrong."""
    numbers = {name: whole_number(name, getattr(form, name)) for name in ("restarts_a_day", "download_kib_s", "nice")}
    windows = form.windows.replace(";", "\n").split("\n")
    probes = form.probes.replace(";", "\n").split("\n")
    return parsed(windows=windows, restart=form.restart, conffiles=form.conffiles, probes=probes, **numbers)


def whole_number(name: str, text: str) -> int | None:
    """What a field of the form says; None = nothing. `Invalid` names the field."""
    if text and not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise Invalid(f"{NAMES[name]}: {text[:20]!r} is no whole number")
    return int(text) if text else None


def words_of(words: Words) -> tuple[str, ...]:
    """What a policy says of when and how, a line each."""
    said = ((name, getattr(words, name)) for name in WORDS)
    return tuple(f"{NAMES[name]}: {shown(name, value)}" for name, value in said if value is not None)


def sheet_view(sheet: SettingsSheet, now_ms: int) -> SheetView:
    """The settings of one endpoint, with what decided each of them."""
    return SheetView(tuple(_sheet_row(line, now_ms) for line in sheet.lines), sheet.window, sheet.notes)


def _sheet_row(line: SettingLine, now_ms: int) -> SheetRow:
    since = ago(line.since_ms, now_ms) if line.since_ms else "–"
    version = f", by version {line.version}" if line.version else ""
    return SheetRow(line.label, line.value, line.by, f"{since}{version}", line.waits)
