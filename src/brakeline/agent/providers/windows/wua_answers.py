"""Answers of the script that speaks with Windows Update, read strictly: what is not of the form is no answer. Pure.

Whatever a wrapper, a policy or a broken component store has put in its place is told by its first words, bounded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from brakeline.agent.providers.model import Refused
from brakeline.agent.providers.windows.exits import hresult
from brakeline.agent.providers.windows.wua import Update, read

FORMAT: Final = 1
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
UPDATES_MAX: Final = 20_000
SAID_MAX: Final = 160
Result = tuple[str, int, int]  # version that an order names, result code, HRESULT


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found. `trouble`: why the list may lack something, "" = it is whole."""

    updates: tuple[Update, ...]
    policy: Mapping[str, int | str] = field(default_factory=dict)
    restart: bool = False
    busy: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """What came of an installation. `missing`: versions that are not on offer any more; then nothing was begun.

    `error`: what ended it, after `begun` or before.
    """

    results: tuple[Result, ...] = ()
    downloads: tuple[Result, ...] = ()
    missing: tuple[str, ...] = ()
    restart: bool = False
    error: Refused | None = None
    begun: bool = True


def answer(data: bytes, verb: str, said: bytes = b"") -> Search | Done | Refused:
    """The answer to `verb`. `said`: what its process printed, for people, if there is no answer."""
    try:
        plain: Any = json.loads(data.decode("utf-8-sig")) if len(data) <= ANSWER_BYTES_MAX else None
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict) or plain.get("format") != FORMAT or plain.get("verb") != verb:
        return Refused("no_answer", f"Windows Update's script gave no answer that could be read{quoted(said or data)}.")
    if (error := plain.get("error")) is not None:
        told = _error(error)
        return told if verb == "search" else Done(error=told, begun=plain.get("begun") is not False)
    try:
        return _search(plain) if verb == "search" else _done(plain)
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        return Refused("no_answer", f"Windows Update's answer is not of the form that is known: {str(e)[:80]}.")


def _error(error: Any) -> Refused:
    number = error.get("hresult") if isinstance(error, dict) else None
    if type(number) is not int:
        return Refused("no_answer", "Windows Update failed, and did not say how.")
    told = hresult(number) or Refused("failed", f"Windows Update failed (0x{number & 0xFFFFFFFF:08X}).")
    return Refused(told.code, f"{told.reason}{quoted(str(error.get('message', '')).encode(errors='replace'))}")


def _search(plain: dict[str, Any]) -> Search:
    rows = plain["updates"]
    if not isinstance(rows, list) or len(rows) > UPDATES_MAX:
        raise ValueError("updates")
    found = []
    for row in rows:
        made = read(row)
        if made is None:
            raise ValueError("an update without an identity")
        found.append(made)
    policy = {str(k): v for k, v in plain.get("policy", {}).items() if type(v) in (int, str)}
    code = plain["result_code"]
    trouble = "" if code == 2 else "Windows Update's search ended with errors: what it found may not be all."
    return Search(tuple(found), policy, plain["restart"] is True, plain["busy"] is True, trouble)


def _done(plain: dict[str, Any]) -> Done:
    missing = tuple(str(x) for x in plain.get("missing") or ())
    return Done(
        _results(plain["results"]), _results(plain.get("downloads") or ()), missing, plain.get("restart") is True
    )


def _results(rows: Iterable[Any]) -> tuple[Result, ...]:
    return tuple((f"{str(r['id']).lower()}.{int(r['revision'])}", int(r["code"]), int(r["hresult"])) for r in rows)


def quoted(said: bytes) -> str:
    """The first words of something that is no answer, as people may read them; "" = nothing was said."""
    text = said[:4096].replace(b"\0", b"").decode("utf-8", "replace")
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())[:SAID_MAX]
    return f" (it said: {plain})" if plain else ""


def holds(policy: Mapping[str, int | str], today: str) -> tuple[str, ...]:
    """What keeps Windows Update of this endpoint from installing, by its owner's policies, one sentence each."""
    found = []
    if policy.get("DisableWindowsUpdateAccess") or policy.get("SetDisableUXWUAccess"):
        found.append("A policy of its owner takes Windows Update away on this endpoint.")
    until = max(str(policy.get(k, "")) for k in ("PauseUpdatesExpiryTime", "PauseQualityUpdatesEndTime"))
    if until[:10] >= today:
        found.append(f"Its owner has paused updates until {until[:10]}.")
    return tuple(found)


def notes(policy: Mapping[str, int | str]) -> tuple[str, ...]:
    """What is worth knowing, and holds nothing."""
    found = []
    if policy.get("UseWUServer") and (server := str(policy.get("WUServer", ""))[:120]):
        found.append(f"updates are those that {server} approves")
    if policy.get("NoAutoUpdate"):
        found.append("Windows installs nothing by itself here (NoAutoUpdate): orders alone do")
    if days := policy.get("DeferQualityUpdatesPeriodInDays"):
        found.append(f"quality updates are deferred by {days} days by a policy of its owner")
    return tuple(found)
