"""`./dev bad-releases [--json] [NAME ...]`: each bad release on real endpoints; exit code 1 if one needs a hand."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from dataclasses import asdict

from tools.badreleases.catalogue import BadRelease, catalogue
from tools.badreleases.run import HERMITS, Outcome, exercise, hermits, world


def main(arguments: list[str]) -> int:
    """Run and print; progress goes to standard error."""
    parser = argparse.ArgumentParser(prog="./dev bad-releases", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON array on standard output")
    parser.add_argument("--alone", action="store_true", help="only on one machine where there is no server: minutes")
    parser.add_argument("names", nargs="*", help="only these (default: all)")
    chosen = parser.parse_args(arguments)
    known = {bad.name: bad for bad in catalogue()}
    if unknown := sorted(set(chosen.names) - set(known)):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
    if os.geteuid() != 0:
        sys.stderr.write("bad-releases: must run as root: endpoints are namespaces with users of their own\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started ends with us
    wanted = [known[name] for name in chosen.names or known]
    if chosen.alone:
        return alone(wanted, as_json=chosen.json)
    outcomes = run(wanted)
    if chosen.json:
        print(json.dumps([asdict(o) for o in outcomes], indent=1))
    well = sum(o.healed for o in outcomes)
    sys.stderr.write(
        f"bad-releases: {well} of {len(wanted)} healed, {sum(o.needed_a_hand for o in outcomes)} needed a hand\n"
    )
    return 0 if well == len(wanted) else 1


def alone(wanted: list[BadRelease], *, as_json: bool) -> int:
    """Without a server only."""
    with world(say, 1, HERMITS) as made:
        found = hermits(made, wanted, say)
    if as_json:
        print(json.dumps([asdict(o) for o in found], indent=1))
    return 1 if any(o.why for o in found) else 0


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def run(wanted: list[BadRelease]) -> list[Outcome]:
    """One after the other on the same endpoints."""
    with world(say) as made:
        return [exercise(made, bad, say) for bad in wanted]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
