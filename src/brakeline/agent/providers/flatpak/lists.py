"""What the remotes have, asked by `refresh` and written down: `plan` and `available` read it, and start no flatpak.

Of each ref the last few commits are kept, so that a rollout that takes days goes on after its remote has moved on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.asked import Asked
from brakeline.agent.providers.flatpak.refs import Head, Ref, head, info, listing, why
from brakeline.agent.providers.flatpak.store import Store
from brakeline.agent.providers.model import Refreshed, Refused

LISTS = "/var/cache/brakeline/flatpak-lists.json"  # also in `agent.stamp`
KEPT_MAX = 5  # commits of one ref
ASK_S_MAX = 120.0
FLATPAK = ("sh", "-c", 'umask 022; exec "$0" "$@"', "flatpak")  # what it keeps is everybody's to read


@dataclass(frozen=True, slots=True)
class Lists:
    """The record of one endpoint; one that is damaged counts as none."""

    runner: Runner

    @property
    def store(self) -> Store:
        return Store(self.runner)

    @property
    def asked(self) -> Asked:
        return Asked(self.runner, LISTS)

    def heads(self) -> Mapping[str, tuple[Head, ...]]:
        """By ref, the newest last."""
        try:
            known = self.asked.read().get("heads", {}).items()
            return {ref: tuple(Head(**values) for values in rows) for ref, rows in known}
        except (TypeError, AttributeError):
            return {}

    def refresh(self, now_ms: int) -> Refreshed | Refused:
        """Ask each remote that something here comes from; what could not be asked keeps its last answer."""
        found, trouble = dict(self.heads()), list[Refused]()
        by_remote: dict[str, list[Ref]] = {}
        for ref in self.store.refs():
            if remote := self.store.origin(ref):
                by_remote.setdefault(remote, []).append(ref)
        for remote, refs in sorted(by_remote.items()):
            answer = self._asked(remote, refs)
            if isinstance(answer, Refused):
                code = "no_network" if answer.code == "network" else answer.code
                trouble.append(Refused(code, f"{remote}: {answer.reason}"))
            for new in () if isinstance(answer, Refused) else answer:
                found[new.ref] = (*(o for o in found.get(new.ref, ()) if o.commit != new.commit), new)[-KEPT_MAX:]
        rows = {ref: [asdict(o) for o in heads] for ref, heads in found.items()}
        return self.asked.write(now_ms, trouble, heads=rows)

    def _asked(self, remote: str, refs: Iterable[Ref]) -> tuple[Head, ...] | Refused:
        words = ("remote-ls", "--all", "--arch=*", "--columns=ref,commit", remote)
        ran = self.runner.job(*FLATPAK, *words[:1], "--system", *words[1:], timeout_s=ASK_S_MAX)
        has = listing(ran.text)
        if ran.timed_out:
            return Refused("network", "The remote gave no answer in time.")
        if ran.rc != 0 or not has:
            return why(ran.text)
        found: dict[str, Head] = {}
        for ref in refs:
            short = has.get(str(ref), "")
            if short and not self.store.active(ref).startswith(short):
                new = self._head(remote, str(ref))
                if new is None:
                    return Refused("flatpak_failed", f"The remote does not say what it has of {ref}.")
                found[new.ref] = new
                if new.runtime in has and (needed := self._head(remote, new.runtime)):
                    found.setdefault(needed.ref, needed)
        return tuple(found.values())

    def _head(self, remote: str, ref: str) -> Head | None:
        """Its exit code says nothing: flatpak 1.14 ends itself after it has answered where there is no store data."""
        words = (*FLATPAK, "remote-info", "--system")
        said = self.runner.job(*words, remote, ref, timeout_s=ASK_S_MAX)
        metadata = self.runner.job(*words, "--show-metadata", remote, ref, timeout_s=ASK_S_MAX)
        return head(ref, remote, info(said.text), metadata.text)
