"""The launcher's verbs. What each needs is loaded by itself alone: the look is a process of its own at every start.

    run        supervise: what the service manager starts
    check      one look, in a process of its own; prints one JSON line
    exec ARGS  become the release that runs here, unless on probation (else the confirmed, else the last known good one)
    adopt TAR  put a first release in place, by whoever installs this machine; what is confirmed here stays
    status     what the launcher has written down about itself

Next: `shell` (run), `source` (check), `verbs` (exec, adopt).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from brakeline.launcher.settings import AGENT_HOME, ETC, REPORT, ROOT, load


def main(arguments: list[str]) -> int:
    """See the module."""
    places = {"--root": ROOT, "--etc": ETC, "--home": AGENT_HOME}
    verb, rest = (arguments[0] if arguments else "run"), arguments[1:]
    while len(rest) >= 2 and rest[0] in places:
        places[rest[0]] = Path(rest[1])
        rest = rest[2:]
    settings = load(places["--root"], places["--etc"], places["--home"])
    os.umask(0o022)  # releases are executed, and the report is read, by another user
    match verb:
        case "run":
            from brakeline.launcher.shell import Launcher

            return Launcher(settings).run()
        case "check":
            from brakeline.launcher.source import check

            return check(settings, rest[0] if rest else "{}")
        case "exec":
            from brakeline.launcher.verbs import become

            return become(settings, rest)
        case "adopt" if len(rest) == 1:
            from brakeline.launcher.verbs import adopt

            return adopt(settings, Path(rest[0]))
        case "status":
            print((settings.root / REPORT).read_text())
            return 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
