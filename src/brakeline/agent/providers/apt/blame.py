"""Pure: one stable code and one sentence for why a run of apt did not do what was ordered.

Looked at only after dpkg's states showed *that* it did not; the text only says *why*.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from brakeline.agent.providers.apt.refresh import CAUSES
from brakeline.agent.providers.ended import why_ended

NETWORK_CODES = {"no_network": "network", "not_found": "network", "hash_mismatch": "hash_mismatch"}
SCRIPT = re.compile(
    r"dpkg: error processing (?:package|archive) (\S+) \(--[a-z-]+\):\n? *"
    r"(.*script.*subprocess.*|.*subprocess.*script.*)"
)
PROCESSING = re.compile(r"dpkg: error processing (?:package|archive) (\S+) \(--[a-z-]+\):\n? *(.+)")
LOCKED = re.compile(r"E: Could not get lock (\S+?)\.? It is held by process (\d+) \(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Blame:
    """`code` as in `messages.TransactionResult.code`."""

    code: str
    reason: str


def blame(text: str, rc: int, *, timed_out: bool, killed: tuple[str, ...], limit_s: float) -> Blame:
    """The cause in the output of apt and dpkg."""
    if timed_out:
        return Blame("timeout", why_ended(text, killed, limit_s))
    if re.search(r"No space left on device|Write error.*\(28|Disk quota exceeded", text):
        return Blame("no_space", "The disk was full.")
    if m := LOCKED.search(text):
        return Blame("lock_timeout", f"{m.group(1)} is held by {m.group(3)} (pid {m.group(2)}).")
    if m := SCRIPT.search(text):
        return Blame("maintainer_script_failed", f"{_package(m.group(1))}: {m.group(2).strip()}.")
    if m := PROCESSING.search(text):
        return Blame("package_failed", f"{_package(m.group(1))}: {m.group(2).strip()}.")
    if re.search(
        r"subprocess .* was killed|signal \(Killed\)|received signal|exited unexpectedly|dpkg was interrupted", text
    ):
        return Blame("killed", "dpkg was killed in the middle of its work.")
    if rc < 0:
        return Blame("killed", f"apt was killed (signal {-rc}) in the middle of its work.")
    if "E: Failed to fetch" in text or "E: Unable to fetch" in text:
        return _fetching(text)
    errors = [line[3:] for line in text.splitlines() if line.startswith("E: ")]
    return Blame("failed", errors[0][:300] if errors else "apt gave no reason.")


def _package(word: str) -> str:
    return word.rpartition("/")[2] if word.startswith("/") else word


def _fetching(text: str) -> Blame:
    where = re.search(r"E: Failed to fetch (\S+)", text)
    name = where.group(1).rpartition("/")[2] if where else "a package"
    for code, pattern, saying in CAUSES:
        if re.search(pattern, text):
            return Blame(NETWORK_CODES.get(code, "network"), f"{name} could not be downloaded: {saying}.")
    return Blame("network", f"{name} could not be downloaded.")
