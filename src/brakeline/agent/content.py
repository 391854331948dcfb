"""The content that this agent was given by its launcher: read at the start of each process, never searched for.

Invariants: where it lies is told by whoever started us (`BRAKELINE_CONTENT`: the launcher, for the resident agent and
for `exec`), so the root helper never takes it from the unprivileged agent; a transaction carries the helper's rules in
its own order. Content that cannot be read ends the process: on probation that reverts it, and the launcher gives a
confirmed release only what it has hashed. Scripts of a catalogue lie beside and are executed by nothing;
own packages (`software/`) run by an order alone, if root here believes their authors. Next: `protocol.content`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from brakeline.core.errors import Fault
from brakeline.protocol import codec
from brakeline.protocol.content import BUILT_IN, RULES, RULES_BYTES_MAX, Rules, parse
from brakeline.protocol.messages import LauncherReport

WHERE = "BRAKELINE_CONTENT"
REPORT = "BRAKELINE_LAUNCHER_REPORT"


class BadContent(Fault):
    """The content that the launcher gave to this agent cannot be used."""

    code = "bad-content"


@dataclass(frozen=True, slots=True)
class Content:
    """`release_id` "" = none was given: the built-in rules count."""

    release_id: str = ""
    rules: Rules = BUILT_IN
    problems: tuple[str, ...] = ()

    def looker(self, agent_version: str) -> str:
        """Who looks at this machine: what another one has seen is looked at anew (`agent.stamp`)."""
        return f"{agent_version} {self.release_id}".strip()


def handed_on(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For the environment of our own children: they look and plan by the same rules."""
    return {WHERE: environment[WHERE]} if environment.get(WHERE) else {}


def folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where what we were given lies, None = nothing was given."""
    return Path(environment[WHERE]) if environment.get(WHERE) else None


def outdated(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the launcher would have another release here by now, or gives other content; without a word of it, no.

    A release on probation is none for us: what runs as root was confirmed.
    """
    where = environment.get(REPORT, "")
    try:
        report = codec.decode(LauncherReport, Path(where).read_bytes()) if where else None
    except (OSError, codec.Malformed, UnicodeDecodeError):
        return False
    if report is None or not report.running:
        return False
    given, ours = folder(environment), _release_of(Path(sys.argv[0]), Path(where).parent / "versions")
    due = report.confirmed if report.running == report.trial else report.running
    return report.running_content != (given.name if given else "") or (bool(ours) and due not in ("", ours))


def _release_of(program: Path, versions: Path) -> str:
    """The release that a program lies in; "" = it is none of the launcher's."""
    return next((at.name for at in program.absolute().parents if at.parent == versions), "")


def load(environment: Mapping[str, str] = os.environ) -> Content:
    """What this process was given. Raises `BadContent`."""
    where = environment.get(WHERE, "")
    if not where:
        return Content()
    try:
        with open(Path(where) / RULES, "rb") as f:
            data = f.read(RULES_BYTES_MAX + 1)
        rules, problems = parse(data)
    except OSError as e:
        raise BadContent(f"{where}/{RULES}: {e.strerror}") from None
    except codec.Malformed as e:
        raise BadContent(f"{Path(where).name}: {e.detail}") from None
    return Content(Path(where).name, rules, problems)
