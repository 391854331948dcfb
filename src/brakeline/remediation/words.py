"""What a policy may say of when and how an endpoint is changed, and what is refused with its reason. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeVar

from brakeline.core import weekly
from brakeline.core.errors import Conflict, Invalid
from brakeline.protocol.messages import RESTARTS_A_DAY_MAX, Conffiles, RestartConsent
from brakeline.protocol.probes import canonical
from brakeline.protocol.settings import NICE_MAX
from brakeline.remediation.decide import effective
from brakeline.remediation.model import SettingsPolicy, Words

W = TypeVar("W", RestartConsent, Conffiles)
WINDOWS_MAX: Final = 14  # two a day; an agent reads a hundred, for what several policies have in common
RANGES: Final = {
    "restarts_a_day": (0, RESTARTS_A_DAY_MAX), "download_kib_s": (16, 10_000_000), "nice": (0, NICE_MAX),
}  # fmt: skip
Matched = tuple[str, tuple[SettingsPolicy, ...]]  # an endpoint, and the other policies that match it


class NeverOpen(Conflict):
    """Some endpoints could never be changed any more."""

    code = "never-open"
    hint = "Give windows that overlap those of the named policy, narrow the filter, or remove that policy first."


def parsed(
    *, windows: Iterable[str] = (), restart: str = "", conffiles: str = "", restarts_a_day: int | None = None,
    download_kib_s: int | None = None, nice: int | None = None, probes: Iterable[str] = (),
) -> Words:  # fmt: skip
    """From what people type; empty = says nothing of it. `Invalid` says what is wrong and what can be written."""
    texts = tuple(t.strip() for t in windows if t.strip())
    numbers = {"restarts_a_day": restarts_a_day, "download_kib_s": download_kib_s, "nice": nice}
    for name, number in numbers.items():
        least, most = RANGES[name]
        if number is not None and not least <= number <= most:
            raise Invalid(f"{name} is {least} to {most}", got=number)
    return Words(
        _windows(texts), _one_of(RestartConsent, "restart", restart), _one_of(Conffiles, "conffiles", conffiles),
        restarts_a_day, download_kib_s, nice, canonical(t for t in probes if t.strip()) or None,
    )  # fmt: skip


def _windows(texts: tuple[str, ...]) -> tuple[str, ...] | None:
    if not texts:
        return None
    if len(texts) > WINDOWS_MAX:
        raise Invalid(f"at most {WINDOWS_MAX} maintenance windows; write days with the same hours as one")
    found = weekly.canonical(texts)
    if not found:
        raise Invalid("these windows are open all week: leave them out, that means the same")
    return found


def _one_of(kind: type[W], name: str, text: str) -> W | None:
    if not text:
        return None
    known = [w.value for w in kind]
    if text not in known:
        raise Invalid(f"{name} is one of {', '.join(known)}, not {text[:40]!r}")
    return kind(text)


def refuse_never_open(policy: SettingsPolicy, matched: Iterable[Matched]) -> None:
    """`NeverOpen` if, with this policy, endpoints had no minute left in which they may be changed."""
    if policy.words.windows is None:
        return
    for endpoint_id, others in matched:
        before, after = effective(others).windows, effective((*others, policy)).windows
        if after == (weekly.NEVER,) and before != after:
            other = next((p for p in others if _apart(p, policy)), others[0])
            raise NeverOpen(
                f"{endpoint_id}: the windows of this policy ({', '.join(policy.words.windows)}) and those of policy "
                f"{other.name!r} ({', '.join(other.words.windows or ())}) have no minute in common", policy=other.id,
            )  # fmt: skip


def _apart(one: SettingsPolicy, other: SettingsPolicy) -> bool:
    return bool(one.words.windows) and weekly.common(one.words.windows or (), other.words.windows or ()) == (
        weekly.NEVER,
    )
