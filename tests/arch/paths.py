"""Every way by which a cell can reach an endpoint, read from the code itself: messages, verbs, commands, routes.

`docs/reference/paths-to-an-endpoint.md` has one line for each; `test_paths.py` compares the two, in both directions.
Nothing here is a list of what we believe exists: what is new in the code is new here.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import re
import typing
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType, UnionType

from brakeline.agent import commands
from brakeline.launcher import model as launcher_model
from brakeline.protocol import content, messages, routes, software
from brakeline.trust import model as trust_model
from brakeline.trust import statements

SRC = Path(__file__).resolve().parents[2] / "src" / "brakeline"
FROM_THE_CELL = (
    messages.EnrolReply, messages.Secret, messages.CheckInReply, messages.InventoryAck, messages.ResultsAck,
    messages.RunAck, messages.Problem,
)  # fmt: skip
SIGNED_ONLINE = (statements.Recall, statements.Lease, trust_model.Follow, trust_model.Documents)
# What makes or carries out a change, and the only modules that may call it. (file below src/brakeline, suffix allowed)
CALLERS = {
    "sign_order": {"rollout/offering.py"},  # orders are signed where an offer is made, and nowhere else
    "Offer": {"rollout/offering.py"},
    "DrillOrder": {"rollout/offering.py", "rollout/live.py"},  # the second names it to those who may get ready
    # of canaries and their controls, in the rings of a rollout; and of a rollout of restarts, where offers are made
    "sign_restart": {"rollout/restarting.py", "rollout/offering.py"},
    "LeaseWish": {"rollout/leases.py"},  # what may be leased follows the blueprints of rollouts
    "set_leases": {"rollout/releasing.py"},
    "follow_order": {"server/following.py"},
    "CheckInReply": {"server/exchange.py", "drills/wire.py"},  # a drill's endpoints remember the last one they got
    "SettingsGrant": {"remediation/granting.py"},  # signed over what rollouts have proven, and nothing else
    "Allowed": {"agent/ceiling.py"},  # what raises the ceiling: a believed grant …
    "Trial": {"agent/taking.py"},  # … or a believed offer of a rollout
    "settings_told": {"remediation/policies.py"},  # which settings a reply repeats
    "AskHelper": {"agent/offers.py"},  # of a believed order that fits what was planned
    "AskLauncher": {"agent/releases.py"},
    "AskRestart": {"agent/restart.py"},
    "StoreFollow": {"agent/releases.py"},
    "StartRefresh": {"agent/agenda.py"},
    "AptApplier": {"agent/providers/apt/provider.py"},
    "PacmanApplier": {"agent/providers/pacman/provider.py"},
    "DnfApplier": {"agent/providers/dnf/provider.py"},
    "ZypperApplier": {"agent/providers/zypper/provider.py"},
    "PipApplier": {"agent/providers/pip/provider.py"},
    "NpmApplier": {"agent/providers/npm/provider.py"},
    "FlatpakApplier": {"agent/providers/flatpak/provider.py"},
    "BrewApplier": {"agent/providers/brew/provider.py"},
    "SoftwareUpdateApplier": {"agent/providers/macos/provider.py"},
    "SnapApplier": {"agent/providers/snap/provider.py"},
    "FwupdApplier": {"agent/providers/fwupd/provider.py"},
    "OwnApplier": {"agent/providers/own/provider.py"},  # runs what root's authors have signed, under an order
}
PROGRAMS = {  # endpoint modules that may start a program at all
    "agent/desk.py", "agent/errands.py", "agent/guard.py", "agent/health.py", "agent/journal.py", "agent/probes.py",
    "agent/providers/apt/runner.py", "agent/providers/windows/real.py", "agent/reboots.py", "agent/transaction_unit.py",
    "agent/windows_child.py", "agent/windows_hosting.py", "agent/windows_unit.py", "agent/wiring.py",
    "launcher/stub.py", "launcher/supervise.py", "launcher/verbs.py", "launcher/windows.py",
}  # fmt: skip


def fields_of(roots: Iterable[type]) -> set[str]:
    """`Type.field` of each dataclass and of every dataclass that is reachable from its fields."""
    found: set[str] = set()
    waiting, seen = list(roots), set[type]()
    while waiting:
        kind = waiting.pop()
        if kind in seen:
            continue
        seen.add(kind)
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            found.add(f"{kind.__name__}.{field.name}")
            waiting += _dataclasses_in(hints[field.name])
    return found


def _dataclasses_in(hint: object) -> list[type]:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return [hint]
    return [kind for part in typing.get_args(hint) for kind in _dataclasses_in(part)]


def commands_of(union: UnionType, prefix: str) -> set[str]:
    """The classes of a union of commands."""
    return {f"{prefix} {kind.__name__}" for kind in typing.get_args(union)}


def routes_of(module: ModuleType) -> set[str]:
    """Constants that are paths below the planes of endpoints."""
    return {v for v in vars(module).values() if isinstance(v, str) and re.match(r"/(agent|trust)/", v)}


def verbs_of(source: str) -> set[str]:
    """The verbs that the root helper matches, read from its source: a list elsewhere might not be the truth."""
    cases = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.match_case)]
    return {f"helper {_constant(case.pattern)}" for case in cases if _constant(case.pattern)}


def _constant(pattern: ast.pattern) -> str:
    value = pattern.value if isinstance(pattern, ast.MatchValue) else None
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else ""


def children_of(source: str) -> set[str]:
    """Verbs of the agent's own command line."""
    return {f"brakeline-agent {n.name}" for n in ast.parse(source).body
            if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")}  # fmt: skip


def callers_of(name: str, root: Path = SRC) -> set[str]:
    """Files below `root` in which something of this name is called."""
    return {str(path.relative_to(root)) for path in sorted(root.rglob("*.py")) if name in _called(path)}


@functools.cache
def _called(path: Path) -> set[str]:
    calls = (n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call))
    return {f.attr if isinstance(f, ast.Attribute) else getattr(f, "id", "") for f in calls}


def starters_of_programs(root: Path = SRC) -> set[str]:
    """Modules of the endpoint's side that import what starts programs, or use what `os` has for it."""
    found = set()
    for side in ("agent", "launcher", "core", "trust", "protocol"):
        for path in sorted((root / side).rglob("*.py")):
            tree = ast.parse(path.read_text())
            names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
            names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
            of_os = (n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name))
            calls = {n.attr for n in of_os if isinstance(n.value, ast.Name) and n.value.id == "os"}
            started = calls & {"system", "popen", "posix_spawn", "execv", "execve", "execvp", "spawnv"}
            if names & {"subprocess", "pty", "multiprocessing"} or started:
                found.add(str(path.relative_to(root)))
    return found


def everything() -> set[str]:
    """All of it, as the reference spells it."""
    return (
        fields_of((*FROM_THE_CELL, messages.Offer, messages.SettingsGrant, content.Rules, *SIGNED_ONLINE))
        | verbs_of((SRC / "agent/helper.py").read_text())
        | children_of((SRC / "agent/verbs.py").read_text())
        | commands_of(commands.Command, "agent")
        | commands_of(launcher_model.Command, "launcher")
        | routes_of(routes)
        | {content.SCRIPTS, software.FOLDER, software.PAYLOADS}
    )


def documented(text: str) -> dict[str, str]:
    """Name -> verdict of the reference's table: offer | narrows | harmless."""
    found: dict[str, str] = {}
    for names, verdict, reason in re.findall(r"^\| (`.+?`) \| (\w+) \| (.+?) \|$", text, re.M):
        assert reason.strip(" -–"), f"no reason for {names}"
        for name in re.findall(r"`([^`]+)`", names):
            assert name not in found, f"{name} stands there twice"
            found[name] = verdict
    return found
