"""Pure: one stable code and one sentence for why databases were not fetched, or a run did not do what was ordered.

Looked at only after states showed *that* it did not, with one exception: pacman ends with 0, and has the new version
in its database, although a scriptlet failed. Its words are the only trace, so here they count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.ended import why_ended

CAUSES: Final[tuple[tuple[str, str, str], ...]] = (
    ("no_space", r"No space left on device|not enough free disk space|Disk quota exceeded|[Pp]artition .* too full",
     "the disk is full"),
    ("locked", r"unable to lock database", "another program has the database locked"),
    ("expired", r"expired key|key .* is expired|signature .*expired|is from an expired", "a signing key has expired"),
    ("signature",
     r"signature .* is (?:unknown trust|marginal trust|invalid)|missing required signature|invalid or corrupted "
     r"(?:database|package) \(PGP signature\)|required key missing|key .* is (?:unknown|disabled)|PGP signature",
     "its signature could not be verified"),
    ("hash_mismatch", r"invalid or corrupted package|\(checksum\)|Unrecognized archive format|is corrupted",
     "what was sent does not fit its checksum (mirror in mid-update, or tampered with)"),
    ("hash_mismatch", r"Maximum file size exceeded",
     "more was sent than its database says, as an error page is (mirror in mid-update, or tampered with)"),
    ("not_found", r"error: 404|404 Not Found|The requested URL returned error: 40[34]|Couldn't open file|"
     r"could not find or read|no servers configured", "it is not there"),
    ("no_network", r"Could not resolve|Couldn't connect|Failed to connect|Connection refused|Connection timed out|"
     r"Operation too slow|Network is unreachable|Connection reset|download library error|failed retrieving file",
     "it could not be reached"),
)  # fmt: skip
RUN_CODES: Final = {"no_network": "network", "not_found": "network", "locked": "lock_timeout", "expired": "signature"}
SCRIPT_FAILED: Final = re.compile(r"^error: command (?:failed to execute correctly|terminated by signal .*)$", re.M)
_UPGRADING: Final = re.compile(
    r"^(?:\(\s*\d+/\d+\) )?(?:installing|upgrading|removing|reinstalling|downgrading) (\S+?)(?:\.\.\.)?$", re.M
)


@dataclass(frozen=True, slots=True)
class Failure:
    code: str
    reason: str


def explain(text: str, rc: int) -> Failure | None:
    """What went wrong in `pacman -Sy`; None = every database is there as the repositories have it."""
    errors = _errors(text)
    if not errors and rc == 0:
        return None
    where = _where(text)
    for code, pattern, saying in CAUSES:
        if re.search(pattern, text):
            return Failure(code, f"{where or 'A repository'}: {saying}.")
    return Failure("refresh_failed", f"The lists could not be refreshed: {(errors or ['pacman gave no reason'])[0]}.")


def signer(text: str) -> str:
    """Whose signature pacman did not believe; "" = it names nobody."""
    m = re.search(r'signature from "([^"]+)" is', text)
    return m[1] if m else ""


def has_expired(keys: str, owner: str) -> bool:
    """Whether every key of this owner is past its date, by `gpg --with-colons --list-keys`."""
    states, last = [], ""
    for line in keys.splitlines():
        cells = line.split(":")
        if cells[0] == "pub":
            last = cells[1]
        elif cells[0] == "uid" and len(cells) > 9 and cells[9] == owner:
            states.append(last)
    return bool(states) and set(states) == {"e"}


def blame(text: str, rc: int, *, timed_out: bool, killed: tuple[str, ...], limit_s: float) -> Failure:
    """The cause in the output of a run."""
    if timed_out:
        return Failure("timeout", why_ended(text, killed, limit_s))
    if script := failed_script(text):
        return Failure("maintainer_script_failed", script)
    for code, pattern, saying in CAUSES:
        if re.search(pattern, text):
            return Failure(RUN_CODES.get(code, code), f"pacman did not go through: {saying}.")
    if rc < 0 or "Killed" in text:
        return Failure("killed", f"pacman was killed (signal {-rc}) in the middle of its work.")
    if conflicts := re.findall(r"^(\S+): (\S+) exists in filesystem", text, re.M):
        return Failure("package_failed", f"{conflicts[0][0]}: {conflicts[0][1]} is there already and no package's.")
    return Failure("failed", f"{(_errors(text) or ['pacman gave no reason'])[0]}.")


def failed_script(text: str) -> str:
    """ "" or whose scriptlet or hook failed: the package that was at work last before pacman said so."""
    found = SCRIPT_FAILED.search(text)
    if found is None:
        return ""
    before = _UPGRADING.findall(text[: found.start()])
    who = before[-1] if before else "A hook"
    return f"{who}: its scriptlet failed, and pacman went on all the same."


def _errors(text: str) -> list[str]:
    return [line[7:].rstrip(".") for line in text.splitlines() if line.startswith("error: ")]


def _where(text: str) -> str:
    m = re.search(r"failed retrieving file '[^']+' from (\S+)", text) or re.search(
        r"^error: (\S+): (?:signature|key)", text, re.M
    )
    m = m or re.search(r"failed to (?:update|synchronize) (\S+)", text)
    return "" if m is None or m[1] == "all" else m[1]
