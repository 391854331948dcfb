"""Where everything is, who this endpoint is, and how long things may take. Read once; bad values are said, not obeyed.

The launcher must start whatever stands in its files: a broken or missing one means defaults and a problem.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
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
# Bounds of durations. Far shorter than on any endpoint: trials of this program. A look has 10 s by rule and by default;
# an emulated processor needs up to 60. The service manager waits 120 s for a sign of life, and 20 s for the end.
LEAST_S: Final = 0.01
MONTH_S: Final = 30 * 86_400.0  # at most, but for these
MOST_S: Final = {"check_s": 60.0, "ready_s": 3600.0, "stop_s": 15.0, "tick_s": 60.0, "calm_tick_s": 60.0}
REPORT: Final = "report.json"  # in the root: what the launcher has written down about itself
UNTOLD: Final = re.compile("[\0\ud800-\udfff]")  # JSON can say it, no file and no program can be told
AGENT_HOME: Final = WINDOWS / "agent" if WINDOWS else Path("/var/lib/brakeline")
OWN: Final = {"user": "brakeline", "arguments": ["run"], "knobs": {}, "budget": {}}  # in launcher.json, with defaults
AGENT: Final = dict.fromkeys(("endpoint_id", "cell", "region", "channel", "server_url", "ca_pem"), "")  # in agent.json


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
    agent, own = _said(etc / "agent.json", AGENT, problems), _said(etc / "launcher.json", OWN, problems)
    who = Who(
        agent["endpoint_id"], agent["cell"] or "cell", agent["region"],
        platform=this_platform(), channel=agent["channel"] or "stable", also=("content", "launcher"),
    )  # fmt: skip
    knobs = spread(_numbers(Knobs(), own["knobs"], problems), who.endpoint_id)
    return Settings(
        root=root, etc=etc, home=home, user=own["user"], server_url=agent["server_url"], ca_pem=agent["ca_pem"],
        arguments=tuple(own["arguments"]), budget=_numbers(Budget(), own["budget"], problems), who=who, knobs=knobs,
        problems=tuple(problems),
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


def _said(path: Path, defaults: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """What the file says, and the defaults of what it does not say, or says in another type."""
    plain: dict[str, Any] = {}
    try:
        plain = {**json.loads(path.read_text())}
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, RecursionError) as e:  # TypeError: it is no object
        problems.append(f"settings: {path.name} cannot be used ({e}); defaults count")
    for name in [n for n in defaults if n in plain and not _like(defaults[n], plain[n])]:
        problems.append(f"settings: {path.name}: {name} cannot be used; the default counts")
        del plain[name]
    return defaults | plain


def _like(default: Any, value: Any) -> bool:
    """Whether it is of that type, and its texts (of an object: its keys) can be told to a program."""
    texts = [value] if isinstance(value, str) else value
    return type(value) is type(default) and all(isinstance(t, str) and not UNTOLD.search(t) for t in texts)


def _numbers(default: Any, changes: dict[str, Any], problems: list[str]) -> Any:
    """`default` with those fields changed that may be changed so; others are named as problems."""
    known = dataclasses.asdict(default)
    found = {name: _number(name, known.get(name), value) for name, value in changes.items()}
    for name in [n for n in found if found[n] is None]:
        problems.append(f"settings: launcher.json: {name:.60} is unknown or out of its bounds; the default counts")
        del found[name]
    return dataclasses.replace(default, **found)


def _number(name: str, usual: Any, value: Any) -> Any:
    """`value` as the type of `usual`, the default, or several where it has several; None = it may not be that."""
    if isinstance(usual, tuple):
        several = tuple(_number(name, usual[0], one) for one in value) if isinstance(value, list) else ()
        return several if several and None not in several else None
    least, most = (usual // 64, usual * 1024) if isinstance(usual, int) else (LEAST_S, MOST_S.get(name, MONTH_S))
    good = usual is not None and type(value) in (int, type(usual)) and least <= value <= most
    return type(usual)(value) if good else None
