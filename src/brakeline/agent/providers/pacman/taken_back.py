"""Keeps pacman from bringing back by itself what was taken back: an endpoint's own `pacman -Syu` knows no quarantine.

pacman can ignore a package, and no version of it; ignored for ever it would never get the fix. So a hook of the system
stops an upgrade, before its first change, that would bring exactly such a version, and says how to go on without that
package or all the same. Our own runs are compared with their order instead (`hook`) and pass by it. An order that names
such a version lifts it, a newer version makes it moot; people may remove the two files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from brakeline.agent.files import remove_durably, write_durably
from brakeline.agent.providers.apt.runner import Runner
from brakeline.protocol.messages import UpdateRef

HOOK: Final = "/etc/pacman.d/hooks/brakeline-taken-back.hook"
SCRIPT: Final = "/etc/pacman.d/brakeline-taken-back.sh"
VARIABLE: Final = "BRAKELINE_TAKEN_BACK"  # in the environment of a run that is meant to pass
VERSIONS_MAX: Final = 200  # the newest stay
_SAFE: Final = re.compile(r"[A-Za-z0-9_+@][A-Za-z0-9_+@.~^:\-]*")
_ENTRY: Final = re.compile(r'^    "(\S+) (\S+)"\) back ;;$', re.MULTILINE)
HOOK_TEXT: Final = f"""[Trigger]
Operation = Install
Operation = Upgrade
Type = Package
Target = *

[Action]
Description = Looking for versions that were taken back...
When = PreTransaction
Exec = /bin/sh {SCRIPT}
AbortOnFail
NeedsTargets
"""
SCRIPT_TEXT: Final = """# Brakeline took these versions back. Its cell's order or a newer version brings them again.
[ -z "$%(variable)s" ] || exit 0
bad=0
back() {
    echo "$name: the version in the repositories was taken back on this machine; go on without it (--ignore $name)," \\
         "or all the same (%(variable)s=allow)" >&2
    bad=1
}
while read -r name; do
    case "$name $(LC_ALL=C pacman -Si -- "$name" 2>/dev/null | sed -n 's/^Version *: //p' | head -n 1)" in
%(entries)s    esac
done
exit $bad
"""


@dataclass(frozen=True, slots=True)
class TakenBack:
    """Hook and script of one endpoint."""

    runner: Runner

    def forbid(self, versions: Iterable[UpdateRef]) -> None:
        """Add these, durably. OSError when the disk will not."""
        known = self.known()
        self._write((*known, *(v for v in dict.fromkeys(versions) if v not in known and _safe(v))))

    def allow(self, versions: Iterable[UpdateRef]) -> None:
        """Lift these, if they are forbidden."""
        known, gone = self.known(), frozenset(versions)
        if gone & frozenset(known):
            self._write(tuple(v for v in known if v not in gone))

    def known(self) -> tuple[UpdateRef, ...]:
        """What is forbidden, oldest first."""
        try:
            text = self.runner.path(SCRIPT).read_text(encoding="utf-8")
        except OSError:
            return ()
        return tuple(UpdateRef(*found) for found in _ENTRY.findall(text))

    def _write(self, versions: tuple[UpdateRef, ...]) -> None:
        hook, script = self.runner.path(HOOK), self.runner.path(SCRIPT)
        if not versions:
            remove_durably(hook)  # the script last: a hook without it would stop everything
            remove_durably(script)
            return
        hook.parent.mkdir(parents=True, exist_ok=True)
        write_durably(script, script_of(versions[-VERSIONS_MAX:]).encode(), 0o644)
        write_durably(hook, HOOK_TEXT.encode(), 0o644)


def script_of(versions: tuple[UpdateRef, ...]) -> str:
    """The script for these versions."""
    entries = "".join(f'    "{v.name} {v.version}") back ;;\n' for v in versions)
    return SCRIPT_TEXT % {"variable": VARIABLE, "entries": entries}


def _safe(v: UpdateRef) -> bool:
    """Nothing that a shell could read as anything but a word; the helper has judged it before."""
    return bool(_SAFE.fullmatch(v.name) and _SAFE.fullmatch(v.version))
