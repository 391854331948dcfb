"""The settings of one endpoint, line by line: what is in force, from which policy, since when, and what waits. Pure.

Five things speak of each setting, and every one of them can only take away: what the endpoint has (first settings, or a
completed rollout), the policies that match it, a rollout that is under way, the age of its agent, and root's own file.
Whoever looks at an endpoint is told which of them decided.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from brakeline.core import weekly
from brakeline.protocol.messages import LocalLimits, Settings
from brakeline.protocol.settings import NAMES, NONE, for_older, narrowest, shown, wider, within
from brakeline.remediation.decide import effective, speakers
from brakeline.remediation.model import Had, SettingsPolicy

NO_POLICY: Final = "no policy speaks of it"


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One setting. `by` names what decided; `since_ms` 0 = nobody ever set it; `waits` "" = nothing wider is wished."""

    name: str  # as in `Settings`
    label: str
    value: str  # in force
    by: str
    since_ms: int = 0
    version: int = 0  # of settings, by whose rollout it came; 0 = by none
    waits: str = ""  # what policies wish, once a rollout of settings has brought it


@dataclass(frozen=True, slots=True)
class SettingsSheet:
    """All of it, and what else a person should know, a sentence each."""

    lines: tuple[SettingLine, ...]
    window: str  # "open now", "opens sat 22:00 (its local time, +02:00)", "" = it may be changed at any time
    notes: tuple[str, ...] = ()


def sheet(had: Had | None, policies: Iterable[SettingsPolicy], told: Settings, local: LocalLimits | None,
          minute: int | None = None) -> SettingsSheet:  # fmt: skip
    """`told`: what its replies say; `local`: what its agent says of limits of its own, None = an older agent.

    `minute` of the week in its local time, where that is known.
    """
    mine = tuple(policies)
    wished = effective(mine, told.check_in_interval_s)
    older = told if local is not None else for_older(told)
    force = narrowest(within(local), older) if local is not None else older
    lines = tuple(_line(name, had, mine, wished, told, force, local) for name in NAMES)
    return SettingsSheet(lines, _window(force, local, minute), _notes(told, older, local, force))


def zone_of(local: LocalLimits | None) -> int | None:
    """How far the local time of an endpoint is before UTC, in milliseconds, by what it said; None = not known."""
    text = local.zone if local is not None else ""
    hours, _, minutes = text[1:].partition(":")
    if text[:1] not in ("+", "-") or not (hours.isdecimal() and minutes.isdecimal()):
        return None
    ms = (min(int(hours[:2]), 18) * 60 + min(int(minutes[:2]), 59)) * 60_000
    return -ms if text[0] == "-" else ms


def _line(name: str, had: Had | None, policies: tuple[SettingsPolicy, ...], wished: Settings, told: Settings,
          force: Settings, local: LocalLimits | None) -> SettingLine:  # fmt: skip
    has = had.settings if had else NONE
    value, said = getattr(force, name), speakers(policies)[name]
    waits = shown(name, getattr(wished, name)) if name in wider(wished, has) and name in wider(wished, told) else ""
    by, since_ms, version = ", ".join(f"policy {p.name}" for p in said) or NO_POLICY, 0, 0
    if said:
        since_ms = max(p.created_ms for p in said)
    if value != getattr(told, name):
        by, since_ms = ("root's own limits" if local is not None else "its agent is too old to keep the others"), 0
    elif had is not None and value == getattr(has, name) and (said or waits):
        since_ms, version = max(since_ms, had.since_ms), had.version
    return SettingLine(name, NAMES[name], shown(name, value), by, since_ms, version, waits)


def _window(force: Settings, local: LocalLimits | None, minute: int | None) -> str:
    if not force.windows:
        return ""
    zone = f", {local.zone}" if local is not None and local.zone else ""
    when = weekly.next_opening(force.windows, minute) if minute is not None else (local.window if local else "")
    return f"{when or 'not known yet'} (its local time{zone})"


def _notes(told: Settings, older: Settings, local: LocalLimits | None, force: Settings) -> tuple[str, ...]:
    notes = []
    if older != told:
        notes.append("Its agent is too old to keep windows and limits, so it is told to assess only: update the agent.")
    if local is not None and local.problem:
        notes.append(f"It only assesses: {local.problem}.")
    elif local is not None and local.settings is not None and wider(replace(told, probes=()), local.settings):
        notes.append("Root of this endpoint has set limits (limits.json) that are narrower; they hold.")
    if kept := [p.partition(" ")[0] for p in told.probes if p not in force.probes]:
        notes.append(f"Probes that its root does not allow (limits.json, key probes), so not tried: {', '.join(kept)}.")
    if local is not None and local.wider:
        names = ", ".join(NAMES.get(name, name) for name in local.wider[:9])
        notes.append(f"Its agent does not follow this cell in: {names}. No order that it believes allows it yet.")
    if force.windows == (weekly.NEVER,):
        notes.append(
            "Its windows have no minute in common, so nothing is changed here: see the policies and what waits."
        )
    return tuple(notes)
