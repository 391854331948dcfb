"""What a registry, an index or the remotes were last told to have: asked by `refresh`, written down, read by the rest.

Managers beside the system's keep no lists of their own. The record is world-readable; a damaged one counts as none.
What could not be asked keeps its last answer, and a refresh with any trouble in it has not succeeded.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from brakeline.agent.providers.apt.lists import write_public
from brakeline.agent.providers.apt.runner import Runner
from brakeline.agent.providers.model import Refreshed, Refused
from brakeline.protocol.messages import PackageManagerHealth

Newer = tuple[tuple[str, str], ...]  # name, version


@dataclass(frozen=True, slots=True)
class Asked:
    """The record of one manager on one endpoint; `path` as the endpoint names it."""

    runner: Runner
    path: str

    def read(self) -> dict[str, Any]:
        try:
            found = json.loads(self.runner.path(self.path).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def newer(self) -> dict[tuple[str, str], str]:
        """(label, name) -> the version that is newer, of whatever has one."""
        lists = self.read().get("newer", {})
        return {(label, name): version for label, found in lists.items() for name, version in found}

    def asked_each(
        self, now_ms: int, answers: Iterable[tuple[str, Newer | Refused]], **more: object
    ) -> Refreshed | Refused:
        """Write down what was answered for each label."""
        lists, trouble = dict(self.read().get("newer", {})), list[Refused]()
        for label, answer in answers:
            if isinstance(answer, Refused):
                trouble.append(answer)
            else:
                lists[label] = answer
        return self.write(now_ms, trouble, newer=lists, **more)

    def write(self, now_ms: int, trouble: list[Refused], **record: object) -> Refreshed | Refused:
        """The record of a refresh that has just ended; the first trouble is its problem."""
        succeeded = int(self.read().get("succeeded_ms", 0)) if trouble else now_ms
        how: Mapping[str, object] = {
            "tried_ms": now_ms, "succeeded_ms": succeeded, "problem": trouble[0].reason if trouble else "",
        }  # fmt: skip
        write_public(self.runner, self.path, json.dumps({**how, **record}))
        return trouble[0] if trouble else Refreshed(now_ms)

    def health(self, problems: tuple[str, ...], lock_holder: str = "") -> PackageManagerHealth:
        """Problems as found now, age and trouble of the lists as written down."""
        lists = self.read()
        return PackageManagerHealth(
            not problems, problems, lock_holder, int(lists.get("succeeded_ms", 0)), str(lists.get("problem", ""))
        )
