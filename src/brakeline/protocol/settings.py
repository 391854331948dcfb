"""Which of two settings is narrower, word by word: the one rule that combines cell, agent and root's own limits.

What narrows needs nobody's consent, so both ends apply it at once; what widens needs a rollout and a signature. A new
setting is put into `narrowest`, `settings_digest` (in `digests`) and `newer_words`, or it is not bounded by anything.
Pure. Next: `remediation.standing` (which settings a cell tells), `agent.ceiling` (what an agent believes of them).
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Final, TypeVar

from brakeline.core import weekly
from brakeline.protocol import probes
from brakeline.protocol.digests import settings_digest
from brakeline.protocol.messages import Conffiles, LocalLimits, Mode, RestartConsent, Settings

W = TypeVar("W", bound=StrEnum)
NONE: Final = Settings()  # what an endpoint runs by for which nobody has spoken: it assesses
WIDEST: Final = Settings(Mode.PATCH, 1, 1, 1, probes=(probes.ANY,))
UNSAID: Final = replace(WIDEST, probes=())  # what root lets be where it says nothing: no probe is tried unasked
RESTARTS: Final = tuple(RestartConsent)  # most careful first, as they are declared
CONFFILES: Final = tuple(Conffiles)
NICE_MAX: Final = 19
NAMES: Final = {
    "mode": "mode", "inventory_interval_s": "seconds between full scans",
    "refresh_interval_s": "seconds between looks for newer package lists", "windows": "maintenance windows",
    "restart": "restarts by order", "conffiles": "changed configuration files",
    "restarts_a_day": "restarts by order a day", "download_kib_s": "KiB a second of downloads, at most",
    "nice": "nice of package transactions", "probes": "probes",
}  # fmt: skip


def narrowest(one: Settings, other: Settings) -> Settings:
    """What both allow. The pace of check-ins is `other`'s: it is no permission."""
    return replace(
        other,
        mode=Mode.PATCH if one.mode is other.mode is Mode.PATCH else Mode.ASSESS,
        inventory_interval_s=max(one.inventory_interval_s, other.inventory_interval_s),
        refresh_interval_s=max(one.refresh_interval_s, other.refresh_interval_s),
        windows=weekly.common(one.windows, other.windows),
        restart=_first(RESTARTS, one.restart, other.restart),
        conffiles=_first(CONFFILES, one.conffiles, other.conffiles),
        restarts_a_day=min(one.restarts_a_day, other.restarts_a_day),
        download_kib_s=min(filter(None, (one.download_kib_s, other.download_kib_s)), default=0),
        nice=max(one.nice, other.nice),
        probes=probes.common(one.probes, other.probes),
    )


def within(local: LocalLimits) -> Settings:
    """The widest settings that limits of an endpoint's own allow."""
    return local.settings or UNSAID


def _first(order: tuple[W, ...], one: W, other: W) -> W:
    return min(one, other, key=order.index)


def allows(bound: Settings, settings: Settings) -> bool:
    """Whether nothing in `settings` is wider than `bound`."""
    return settings_digest(narrowest(settings, bound)) == settings_digest(settings)


def wider(settings: Settings, bound: Settings) -> tuple[str, ...]:
    """Names of what in `settings` goes beyond `bound`."""
    least = narrowest(bound, settings)
    return tuple(name for name in NAMES if getattr(least, name) != getattr(settings, name))


def newer_words(settings: Settings) -> bool:
    """Whether they bound anything that an agent before 0.2 does not know, and so would not keep to. Probes bound
    nothing."""
    former = Settings(settings.mode, settings.check_in_interval_s, settings.inventory_interval_s,
                      settings.refresh_interval_s, probes=settings.probes)  # fmt: skip
    return settings != former


def for_older(settings: Settings) -> Settings:
    """What an agent that does not know all of these words is told: to assess, rather than to patch without them."""
    return replace(settings, mode=Mode.ASSESS) if newer_words(settings) else settings


def shown(name: str, value: object) -> str:
    """A value of a setting, for people."""
    if name == "windows":
        return ", ".join(value) if isinstance(value, tuple) and value else "always"
    if name == "probes":
        return "; ".join(value) if isinstance(value, tuple) and value else "none"
    if name == "download_kib_s":
        return str(value or "no bound")
    if name == "conffiles" and value == Conffiles.REPLACE:
        return "as the rollout says"
    return str(value)
