"""The verbs, and the one line of answer that every run ends with."""

import json
import logging
import sys

from brakeline.agent.providers.dnf.child.applying import apply
from brakeline.agent.providers.dnf.child.base import MARK, SAID, Refuse, flat, named
from brakeline.agent.providers.dnf.child.fetching import fetch, refresh
from brakeline.agent.providers.dnf.child.looking import look
from brakeline.agent.providers.dnf.child.ordering import would
from brakeline.agent.providers.dnf.child.resolving import plan

VERBS = {"look": look, "plan": plan, "would": would, "fetch": fetch, "apply": apply, "refresh": refresh}


def main(text: str) -> int:
    """Always one line of answer, also for what was not expected."""
    for name in ("dnf", "librepo", "dnf.rpm"):
        logging.getLogger(name).addHandler(SAID)
        logging.getLogger(name).propagate = False
    if text.startswith("@"):
        with open(text[1:], encoding="utf-8") as f:
            text = f.read()
    request = json.loads(text)
    try:
        answer = VERBS[request["verb"]](request)
    except Refuse as e:
        answer = {"refused": [e.code, e.reason]}
    except Exception as e:  # noqa: BLE001  outermost: what dnf raises is told, and nothing was changed before `apply`'s verdict
        pid = getattr(e, "pid", 0)
        code = "locked" if pid else "failed"
        answer = {"refused": [code, flat(e).rstrip(".") + (", by " + named(pid) if pid else "") + "."]}
    sys.stdout.write("\n" + MARK + json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
