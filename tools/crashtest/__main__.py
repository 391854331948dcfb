"""`./dev crash-test [--depth N] [--json]`: the model check and its mutants; a table, or one JSON document."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time

from tools.crashtest import modelcheck, mutants, slotwalk

from brakeline.launcher.model import CONTENT

CHARACTERS = ("good", "crash", "hang", "killer")


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev crash-test", description=__doc__)
    parser.add_argument("--depth", type=int, default=2, metavar="N", help="power cuts in a row (default: 2)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    began_s = time.process_time()
    rows: list[tuple[str, modelcheck.Outcome]] = []
    for character in CHARACTERS:
        rows.append((f"power cuts, {character} release", modelcheck.walk(character, options.depth)))
        walked = modelcheck.walk(character, options.depth, product=CONTENT)
        rows.append((f"power cuts, {character} content", walked))
    for character in ("good", "crash", "hang"):
        rows.append((f"full disk, {character} release", modelcheck.full_disk(character)))
        rows.append((f"full disk, {character} content", modelcheck.full_disk(character, product=CONTENT)))
    for agent, content in itertools.product(("good", "crash"), repeat=2):
        both = modelcheck.both_at_once(agent, content)
        rows.append((f"{agent} release and {content} content at once", both))
    rows.append(("confirmed release that kills its host", modelcheck.killer_confirmed()))
    for character in slotwalk.CHARACTERS:
        rows.append((f"power cuts, {character} launcher", slotwalk.walk(character, options.depth)))
        rows.append((f"full disk, {character} launcher", slotwalk.full_disk(character)))
    caught = {name: bool(mutants.caught(name)) for name in mutants.CAUGHT}
    caught |= {name: bool(slotwalk.caught(name)) for name in slotwalk.MUTANTS}
    harmless = {name: not mutants.harm(name) for name in mutants.HARMLESS}
    total = modelcheck.Outcome()
    for _, row in rows:
        total.add(row)
    answer = {
        "depth": options.depth, "outcomes": total.outcomes, "simulated_runs": total.runs,
        "violations": len(total.violations), "mutants": len(caught), "mutants_caught": sum(caught.values()),
        "harmless_mutants": len(harmless), "harmless_confirmed": sum(harmless.values()),
        "good_given_up": total.given_up, "cpu_s": round(time.process_time() - began_s, 1),
    }  # fmt: skip
    if options.json:
        print(json.dumps(answer | {"first_violations": total.violations[:5], "caught": caught}))
    else:
        for name, row in rows:
            print(f"{name:42} {row.outcomes:6} outcomes {row.runs:7} runs {len(row.violations):4} violations")
        for name, was in (caught | harmless).items():
            print(f"mutant: {name:48} {'as expected' if was else 'NOT AS EXPECTED'}")
        print(json.dumps(answer))
    return 0 if not total.violations and all(caught.values()) and all(harmless.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
