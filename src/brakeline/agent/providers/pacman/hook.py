"""Runs inside pacman, under its lock, after its last decision and before its first change: is this what was ordered?

Copied into the directory of a transaction and named by two PreTransaction hooks with AbortOnFail, so it imports the
standard library only. Names come on standard input. Arguments: DIRECTORY add|remove. It fails, and with it the
transaction, unless: what is added is exactly what was ordered; what goes away was ordered to; every package that is
changed still has its former version; the sync databases are those that were planned with. What it does not understand
is a difference.
"""

import hashlib
import json
import os
import sys
from typing import Any


def digest(path: str) -> str:
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def differences(expected: dict[str, Any], kind: str, names: set[str]) -> list[str]:
    """Sentences; none = exactly as ordered."""
    wanted = set(expected[kind])
    found = [f"not ordered: {kind} {name}" for name in sorted(names - wanted)]
    if kind == "add":
        found += [f"ordered, but not to happen: add {name}" for name in sorted(wanted - names)]
        have = set(os.listdir(expected["local"]))
        found += [f"{entry} is not installed any more" for entry in expected["before"] if entry not in have]
        for path, known in expected["databases"].items():
            if digest(path) != known:
                found.append(f"{path} has changed")
    return found


def main(directory: str, kind: str) -> int:
    names = {line.strip() for line in sys.stdin if line.strip()}
    try:
        with open(f"{directory}/expected.json", encoding="utf-8") as f:
            found = differences(json.load(f), kind, names)
    except (OSError, ValueError, KeyError) as e:
        found = [f"the order could not be read: {e}"]
    with open(f"{directory}/verdict-{kind}.json", "w", encoding="utf-8") as f:
        json.dump({"differences": found}, f)
        f.flush()
        os.fsync(f.fileno())
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
