"""Configuration files that somebody has changed on the endpoint, by dpkg's own records: what `hold` waits for.

dpkg remembers the MD5 of each configuration file as the package brought it. A file that differs, or is gone, was
changed here, and an update of its package would decide over it. Whether the new version changes it too is not known
before it is unpacked, so that is not asked: holding is the careful side. What this process may not read is left to the
root helper, which asks again before it begins.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.apt.runner import Runner
from brakeline.protocol.messages import Action, Transaction

FORMAT: Final = "${Package}\\t${Architecture}\\n${Conffiles}\\n"
BYTES_MAX: Final = 16 * 1024 * 1024  # a larger one is no configuration
_LINE: Final = re.compile(r" (?P<path>/.+) (?P<md5>[0-9a-f]{32})")  # obsolete and new ones say more, or less


@dataclass(frozen=True, slots=True)
class Conffile:
    path: str
    md5: str


def parse(text: str) -> dict[tuple[str, str], tuple[Conffile, ...]]:
    """The answer of `dpkg-query` in FORMAT: (package, architecture) -> its configuration files."""
    found: dict[tuple[str, str], list[Conffile]] = {}
    mine: list[Conffile] = []
    for line in text.splitlines():
        if "\t" in line and not line.startswith(" "):
            name, _, architecture = line.partition("\t")
            mine = found.setdefault((name, architecture), [])
        elif line.startswith(" "):
            read = _LINE.fullmatch(line)
            if read is not None:
                mine.append(Conffile(read["path"], read["md5"]))
    return {key: tuple(files) for key, files in found.items()}


def changed(runner: Runner, transaction: Transaction) -> tuple[str, ...]:
    """Paths of changed configuration files of packages that this transaction would put another version of."""
    concerned = [a for a in transaction.actions if a.before and a.after]
    if not concerned:
        return ()
    names = [_name(a) for a in concerned]
    known = parse(runner.query("dpkg-query", "--show", f"--showformat={FORMAT}", *names).text)
    files = [f for a in concerned for f in known.get((a.name, a.architecture), ())]
    return tuple(f.path for f in files if _differs(runner, f))


def _name(action: Action) -> str:
    return action.name if action.architecture == "all" else f"{action.name}:{action.architecture}"


def _differs(runner: Runner, conffile: Conffile) -> bool:
    """False also where it cannot be read: whoever may read it looks again."""
    try:
        with runner.path(conffile.path).open("rb") as f:
            data = f.read(BYTES_MAX)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return hashlib.md5(data, usedforsecurity=False).hexdigest() != conffile.md5
