"""The agent's command line: `brakeline-agent.pyz VERB`. Parses, calls, turns faults into one sentence and a code.

Verbs for people: enrol, status, proxy, defer, service, version. Verbs for the system: run (resident, unprivileged),
helper (root), transaction (its own unit), scan and plan (short-lived children of run). Read `wiring` and `loop` first.
Exit codes: 0 done, 1 failed, 2 used wrongly, 3 token refused, 4 cell not reachable, 5 not enrolled, 6 enrolled already,
75 asks the launcher for a look.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

EXIT_FAILED, EXIT_USAGE, EXIT_TOKEN, EXIT_UNREACHABLE, EXIT_NOT_ENROLLED, EXIT_ENROLLED = 1, 2, 3, 4, 5, 6
_EXIT_CODES = {
    "token-refused": EXIT_TOKEN, "enrol-failed": EXIT_UNREACHABLE, "cell-unreachable": EXIT_UNREACHABLE,
    "not-our-cell": EXIT_UNREACHABLE, "not-enrolled": EXIT_NOT_ENROLLED, "already-enrolled": EXIT_ENROLLED,
    "invalid": EXIT_USAGE,
}  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    from brakeline.agent import verbs
    from brakeline.core.errors import Fault

    if sys.platform == "win32":  # a pipe has some code page there; a character that it lacks must not end us
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # a service or a transaction has none
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    options = _parser().parse_args(arguments)
    verb: Callable[[argparse.Namespace], int] = getattr(verbs, options.verb)
    try:
        return verb(options)
    except Fault as e:
        print(f"brakeline-agent: {e}", file=sys.stderr)
        return _EXIT_CODES.get(e.code, EXIT_FAILED)


def _parser() -> argparse.ArgumentParser:
    import argparse

    from brakeline.agent.config import CONFIG_FILE, HELPER_SOCKET, HELPER_STATE_DIR, RUN_DIR, STATE_DIR

    parser = argparse.ArgumentParser(prog="brakeline-agent", description="Brakeline's agent.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text)
        sub.add_argument("--config", default=str(CONFIG_FILE), help="configuration file (%(default)s)")
        sub.add_argument("--state", default=str(STATE_DIR), help="state directory (%(default)s)")
        return sub

    verb("run", "Stay resident: check in, scan, offer what was planned to the root helper.")
    helper = verb("helper", "Root helper: accepts a closed list of verbs on a local socket.")
    helper.add_argument("--socket", default=HELPER_SOCKET, help="where to listen without socket activation")
    helper.add_argument("--helper-state", default=str(HELPER_STATE_DIR), help="root's state directory (%(default)s)")
    helper.add_argument("--service", action="store_true", help="Windows' service manager has started this")
    service = verb(
        "service", "Install, start, stop or remove a service of Windows, the helper or the agent, or say how it is."
    )
    service.add_argument("--of", default="helper", choices=("helper", "agent"), help="which of the two (%(default)s)")
    service.add_argument("--account", default="", help="of --of agent: whom launcher and agent run as")
    service.add_argument("--may-write", default=[], action="append", help="of --of agent: a folder of that account's")
    service.add_argument("what", choices=("install", "start", "stop", "remove", "status"))
    service.add_argument("command", nargs="*", help="of --of agent install, after --: what starts the launcher")
    service.add_argument("--helper-state", default=str(HELPER_STATE_DIR), help="the helper's directory (%(default)s)")
    verb("host", "Keep a program as a service of Windows.").add_argument("command", nargs="+", help="after --")
    transaction = verb("transaction", "Carry out one package transaction that the helper prepared.")
    transaction.add_argument("transaction_id")
    transaction.add_argument("--helper-state", default=str(HELPER_STATE_DIR), help="root's state directory")
    enrol = verb("enrol", "Take this machine into a cell.")
    enrol.add_argument("--server", required=True, help="https://HOST:PORT of the cell")
    enrol.add_argument("--token", required=True, help="enrolment token, et_…; a file with it, or - for a line of stdin")
    enrol.add_argument("--ca", required=True, help="file with the certificate of the cell's authority (PEM)")
    enrol.add_argument("--helper-socket", default="", help="socket of the root helper; without it: assess only")
    enrol.add_argument("--user", default="", help="user that the agent runs as; state is handed over to it")
    enrol.add_argument("--proxy", default="", help="http://[USER:PASSWORD@]HOST:PORT, a file with that in it, or none")
    enrol.add_argument("--force", action="store_true", help="give this machine a new identity")
    scan = verb("scan", "Look at this machine and print a summary; changes nothing.")
    scan.add_argument("--base", type=int, default=0, help="sequence to compare with; 0 = everything")
    scan.add_argument("--sequence", type=int, default=1, help="sequence of the message that is written")
    scan.add_argument("--full", action="store_true", help="look at everything, even if no file says that it changed")
    plan = verb("plan", "Print the exact transaction for work/candidate.json; changes nothing.")
    plan.add_argument("--conffiles", default="replace", choices=("hold", "keep", "replace"),
                      help="hold: no plan over configuration files that were changed here")  # fmt: skip
    verb("status", "Say how the agent is.").add_argument("--json", action="store_true", help="as one JSON document")
    proxy = verb("proxy", "Show the proxy by which the cell is reached; or write another one, try it, take it away.")
    proxy.add_argument("proxy", nargs="?", default="", help="http://[USER:PASSWORD@]HOST:PORT, a file with it, or none")
    defer = verb("defer", "Put off the restart that waits for people at this machine, once.")
    defer.add_argument("--run", default=str(RUN_DIR), help="where the root helper talks to people (%(default)s)")
    verb("version", "Print the version.")
    return parser


if __name__ == "__main__":
    sys.exit(main())
