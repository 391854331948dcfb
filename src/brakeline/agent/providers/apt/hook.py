#!/usr/bin/python3 -I
"""Runs inside apt (DPkg::Pre-Install-Pkgs, protocol version 3), under its lock, right before dpkg is started.

Compares the list that apt is about to hand to dpkg with the ordered transaction and fails, which makes apt stop with
nothing changed, unless they are exactly the same. Whatever it does not understand is a difference. Stands alone: it
is copied to the endpoint's transaction directory; arguments: the file of expected lines, the file for the verdict.

Expected lines and lines compared: name TAB architecture TAB version before ("" = new) TAB after ("" = removed).
"""

import json
import os
import sys


def action(line: str) -> str:
    """One line of the protocol as an expected line: name, old version, arch, multiarch, direction, new …, file."""
    name, before, old_arch, _, _, after, new_arch, _, path = line.split(" ", 8)
    if path == "**REMOVE**":
        return "\t".join((name, old_arch, before, ""))
    if not path.startswith("/"):
        raise ValueError(line)
    return "\t".join((name, new_arch, "" if before == "-" else before, after))


def judge(text: str, expected: str) -> "tuple[list[str], list[str]]":
    """(what would happen and was not ordered, what was ordered and would not happen)."""
    head, _, body = text.partition("\n\n")
    if head.split("\n")[0] != "VERSION 3":
        raise ValueError("protocol " + head.split("\n")[0][:40])
    lines = [line for line in body.split("\n") if line and not line.endswith(" **CONFIGURE**")]
    found = {action(line) for line in lines}
    wanted = {line for line in expected.split("\n") if line}
    return sorted(found - wanted), sorted(wanted - found)


def main(expected_path: str, verdict_path: str) -> int:
    """0 = exactly the order. The verdict is on disk before apt goes on."""
    try:
        with open(expected_path, encoding="utf-8") as f:
            extra, missing = judge(sys.stdin.read(), f.read())
        verdict = {"same": not extra and not missing, "extra": extra, "missing": missing, "error": ""}
    except (OSError, ValueError) as e:
        verdict = {"same": False, "extra": [], "missing": [], "error": f"{type(e).__name__}: {e}"[:300]}
    with open(verdict_path, "w", encoding="utf-8") as f:
        json.dump(verdict, f)
        f.flush()
        os.fsync(f.fileno())
    return 0 if verdict["same"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
