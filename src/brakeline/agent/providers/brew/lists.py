"""What brew was last told to have: asked by `refresh`, written down, read by `plan` and `available`.

brew's own lists are its sources on this disk; `brew update` renews them. With the network away `brew outdated` says
that nothing is newer: so an update that failed is trouble, and the last answer stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Final

from brakeline.agent.providers.asked import Asked
from brakeline.agent.providers.brew.answers import CASK, FORMULA, Known, Waits, info, outdated, why
from brakeline.agent.providers.brew.prefix import Prefix
from brakeline.agent.providers.model import Refreshed, Refused

LISTS: Final = "/var/cache/brakeline/brew-lists.json"  # also in `agent.stamp`
ASK_S_MAX: Final = 300.0
ROUNDS_MAX: Final = 8  # of asking for what an upgrade would bring along


@dataclass(frozen=True, slots=True)
class Lists:
    """The record of one prefix; one that is damaged counts as none."""

    prefix: Prefix

    @property
    def asked(self) -> Asked:
        return Asked(self.prefix.runner, LISTS)

    def waits(self) -> dict[tuple[str, str], str]:
        """(label, name) -> the version that is newer."""
        return self.asked.newer()

    def known(self) -> dict[tuple[str, str], Known]:
        try:
            rows = [Known(**row | {"needs": tuple(row["needs"])}) for row in self.asked.read().get("known", ())]
        except (TypeError, KeyError, AttributeError):
            return {}
        return {(k.label, k.name): k for k in rows}

    def refresh(self, now_ms: int) -> Refreshed | Refused:
        """Renew brew's sources and ask what is newer."""
        if told := self.prefix.unfit():
            return self._trouble(now_ms, Refused("refused", f"Homebrew is not asked: {told}."))
        ran = self.prefix.run("update", "--quiet", timeout_s=ASK_S_MAX)
        trouble = []
        if ran.timed_out or ran.rc != 0:
            failed = Refused("network", "The sources gave no answer in time.") if ran.timed_out else why(ran.text)
            trouble.append(Refused("no_network" if failed.code == "network" else failed.code, failed.reason))
        answer = self.now()
        if isinstance(answer, Refused):
            return self._trouble(now_ms, answer)
        newer = {label: [(w.name, w.current) for w in answer if w.label == label] for label in (FORMULA, CASK)}
        known = self.known_now(answer)
        rows = [asdict(k) for k in known.values()]
        if trouble and not any(newer.values()):
            newer, rows = self.asked.read().get("newer", {}), self.asked.read().get("known", [])
        return self.asked.write(now_ms, trouble, newer=newer, known=rows)

    def _trouble(self, now_ms: int, refused: Refused) -> Refreshed | Refused:
        read = self.asked.read()
        return self.asked.write(now_ms, [refused], newer=read.get("newer", {}), known=read.get("known", []))

    def now(self) -> tuple[Waits, ...] | Refused:
        """What brew's sources on this disk have that is newer; asks no network."""
        ran = self.prefix.run("outdated", "--json=v2", timeout_s=ASK_S_MAX)
        answer = outdated(ran.text)
        return why(ran.text) if answer is None else answer

    def known_now(self, waits: Iterable[Waits]) -> dict[tuple[str, str], Known]:
        """What is installed, and whatever an upgrade could bring along."""
        known = info(self.prefix.run("info", "--json=v2", "--installed", timeout_s=ASK_S_MAX).text)
        for _ in range(ROUNDS_MAX):
            needed = {n for w in waits if (k := known.get((w.label, w.name))) for n in k.needs}
            needed |= {n for k in known.values() for n in k.needs}
            missing = sorted(n for n in needed if (FORMULA, n) not in known)
            if not missing:
                break
            more = info(self.prefix.run("info", "--json=v2", "--formula", *missing, timeout_s=ASK_S_MAX).text)
            if not set(more) - set(known):
                break
            known |= more
        return known
