"""Where everything is, who this endpoint is, and how long things may take. Read once; bad values are said, not obeyed.

The launcher must start whatever stands in its files: a broken or missing one means defaults and a problem.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from brakeline.core.frozen import dataclass
from brakeline.launcher.model import Knobs
from brakeline.trust.model import Who

if TYPE_CHECKING:  # the resident launcher dials nobody
    from brakeline.protocol.proxy import Proxy

WINDOWS: Final = Path(os.environ.get("PROGRAMDATA", "C:/ProgramData")) / "Brakeline" if os.name == "nt" else None
ROOT: Final = WINDOWS / "launcher" if WINDOWS else Path("/var/lib/brakeline-launcher")
ETC: Final = WINDOWS / "etc" if WINDOWS else Path("/etc/brakeline")
SPREAD: Final = 0.2
REPORT: Final = "report.json"  # in the root: what the launcher has written down about itself
AGENT_HOME: Final = WINDOWS / "agent" if WINDOWS else Path("/var/lib/brakeline")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a release may take from the endpoint, whatever the service manager does."""

    memory_bytes: int = 512 * 1024 * 1024  # address space of one process: RLIMIT_AS
    resident_bytes: int = 256 * 1024 * 1024  # resident, of the release's first process
    processes: int = 64
    home_bytes: int = 512 * 1024 * 1024  # of its own directory
    free_bytes: int = 64 * 1024 * 1024  # what it must leave free there
    log_bytes_per_s: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it. `python` runs releases whose entry begins with "@python"."""

    root: Path = ROOT
    etc: Path = ETC
    home: Path = AGENT_HOME
    user: str = "brakeline"
    server_url: str = ""
    ca_pem: str = ""
    server_name: str = "cell.brakeline.internal"
    who: Who = field(default_factory=lambda: Who("", "cell", ""))
    knobs: Knobs = field(default_factory=Knobs)
    budget: Budget = field(default_factory=Budget)
    proxy: Proxy | None = None  # read at each look, because it may change meanwhile
    way: str = ""  # by which the cell was reached last (`protocol.proxy`)
    python: str = sys.executable
    arguments: tuple[str, ...] = ("run",)
    problems: tuple[str, ...] = ()


def load(root: Path = ROOT, etc: Path = ETC, home: Path = AGENT_HOME) -> Settings:
    """From agent.json (written by `agent.config` at enrolment) and launcher.json (only what somebody has changed)."""
    problems: list[str] = []
    agent, own = _object(etc / "agent.json", problems), _object(etc / "launcher.json", problems)
    who = Who(
        _text(agent, "endpoint_id"), _text(agent, "cell") or "cell", _text(agent, "region"),
        platform=this_platform(), channel=_text(agent, "channel") or "stable", also=("content", "launcher"),
    )  # fmt: skip
    knobs = spread(_numbers(Knobs(), own.get("knobs"), problems), who.endpoint_id)
    return Settings(
        root=root, etc=etc, home=home, user=_text(own, "user", "brakeline"), server_url=_text(agent, "server_url"),
        ca_pem=_text(agent, "ca_pem"), who=who, knobs=knobs, budget=_numbers(Budget(), own.get("budget"), problems),
        arguments=tuple(a for a in own.get("arguments", ["run"]) if isinstance(a, str)), problems=tuple(problems),
    )  # fmt: skip


def spread(knobs: Knobs, endpoint_id: str) -> Knobs:
    """Each endpoint's own time between looks, up to `SPREAD` of it more or less: endpoints that a power cut or an
    outage of the cell has brought into step come out of it again, instead of asking all at once for ever."""
    part = int.from_bytes(hashlib.sha256(f"look {endpoint_id}".encode()).digest()[:4], "big") / 2**32
    factor = 1 + SPREAD * (2 * part - 1)
    return dataclasses.replace(
        knobs, check_every_s=knobs.check_every_s * factor, lonely_check_s=knobs.lonely_check_s * factor
    )


def this_platform() -> str:
    """What releases with a program of their own are for: linux-x86_64, windows-x86_64."""
    if sys.platform == "win32":
        return "windows-" + os.environ.get("PROCESSOR_ARCHITECTURE", "").lower().replace("amd64", "x86_64")
    return f"{sys.platform}-{os.uname().machine}"


def _object(path: Path, problems: list[str]) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as e:
        problems.append(f"settings: {path.name} cannot be used ({e}); defaults count")
        return {}
    return plain if isinstance(plain, dict) else {}


def _text(plain: dict[str, Any], name: str, default: str = "") -> str:
    value = plain.get(name, default)
    return value if isinstance(value, str) else default


def _numbers(default: Any, changes: Any, problems: list[str]) -> Any:
    """`default` with those fields changed that are positive numbers; others are named as problems."""
    known = {f.name for f in dataclasses.fields(default)}
    good: dict[str, Any] = {}
    for name, value in (changes if isinstance(changes, dict) else {}).items():
        several = isinstance(value, list) and value and all(_positive(v) for v in value)
        if name in known and (several or _positive(value)):
            good[name] = tuple(float(v) for v in value) if several else value
        else:
            problems.append(f"settings: launcher.json: {name} is unknown or no positive number; the default counts")
    return dataclasses.replace(default, **good)


def _positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e12
