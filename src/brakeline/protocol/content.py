"""What endpoint content says: `rules.json` of a content bundle, read by the agent and checked by the server. Pure.

Invariants: content can only make an agent more careful (restart less, refuse more, ask for more restarts of the
endpoint); it holds no program and no pattern language beyond `*` and `?`; everything is bounded. The format is
additive: an agent ignores what it does not know and names it; the server builds and publishes nothing like that.
Next: `agent.content` (who reads it), `releases.content` (who builds it).
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from fnmatch import fnmatchcase
from typing import Any, Final

from brakeline.core.frozen import dataclass
from brakeline.protocol import codec

FORMAT: Final = 1  # another number is another meaning: refused
RULES: Final = "rules.json"
SCRIPTS: Final = "scripts/"  # catalogue scripts: kept as files, executed by nothing here
RULES_BYTES_MAX: Final = 256 * 1024
ENTRIES_MAX: Final = 1000  # of each list
TEXT_MAX: Final = 200
_PATTERN: Final = re.compile(r"[A-Za-z0-9@*?][A-Za-z0-9@._:+*?-]{0,99}")


@dataclass(frozen=True, slots=True)
class BrokenVersion:
    """Versions of a package that are known to do harm: never planned, never applied."""

    package: str
    versions: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that an agent goes by. Without content: what is built in here."""

    never_restart: tuple[str, ...] = ()  # services, beyond those that no content can take away (`apt.stale`)
    reboot_packages: tuple[str, ...] = ("amd64-microcode", "intel-microcode")  # after whose change a restart is due
    broken_versions: tuple[BrokenVersion, ...] = ()

    def keeps_running(self, unit: str) -> bool:
        """Whether this service must not be restarted."""
        return any(fnmatchcase(unit, pattern) for pattern in self.never_restart)

    def wants_reboot(self, package: str) -> bool:
        return any(fnmatchcase(package, pattern) for pattern in self.reboot_packages)

    def broken(self, package: str, version: str) -> str:
        """Why this version must not be installed, "" = nothing is known against it."""
        found = (b for b in self.broken_versions if b.package == package and version in b.versions)
        return next((f"{package} {version} is known to be broken: {b.reason}" for b in found), "")


BUILT_IN: Final = Rules()


def parse(data: bytes) -> tuple[Rules, tuple[str, ...]]:
    """The rules, and what in them nobody here understands. Raises `codec.Malformed`, which says what is wrong."""
    if len(data) > RULES_BYTES_MAX:
        raise codec.Malformed(f"{RULES}: {len(data)} bytes, at most {RULES_BYTES_MAX}")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as e:
        raise codec.Malformed(f"{RULES} is not JSON", error=str(e)[:80]) from None
    if not isinstance(plain, dict) or plain.get("format") != FORMAT or isinstance(plain["format"], bool):
        raise codec.Malformed(f"{RULES}: this program understands format {FORMAT}")
    rules: Rules = codec.from_plain(Rules, {k: v for k, v in plain.items() if k != "format"}, RULES)
    _bounded(rules)
    return rules, _unknown(plain)


def _bounded(rules: Rules) -> None:
    for name in ("never_restart", "reboot_packages", "broken_versions"):
        if len(getattr(rules, name)) > ENTRIES_MAX:
            raise codec.Malformed(f"{RULES}: {name} has more than {ENTRIES_MAX} entries")
    for pattern in (*rules.never_restart, *rules.reboot_packages):
        if not _PATTERN.fullmatch(pattern):
            raise codec.Malformed(f"{RULES}: {pattern[:40]!r} is no name; * and ? stand for other characters")
    for broken in rules.broken_versions:
        texts = (broken.package, broken.reason, *broken.versions)
        if not 0 < len(broken.versions) <= ENTRIES_MAX or not all(0 < len(t) <= TEXT_MAX for t in texts):
            raise codec.Malformed(f"{RULES}: an entry of broken_versions is empty or too long", of=broken.package[:40])


def _unknown(plain: dict[str, Any]) -> tuple[str, ...]:
    known = {"format"} | {f.name for f in fields(Rules)}
    inner = {f.name for f in fields(BrokenVersion)}
    found = [name for name in plain if name not in known]
    found += [f"broken_versions.{n}" for b in plain.get("broken_versions", ()) for n in b if n not in inner]
    return tuple(f"{RULES}: {name[:40]} is not understood here and was ignored" for name in sorted(set(found))[:10])
