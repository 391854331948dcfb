"""Pure: why zypper or rpm did not do what was wanted, in a stable word and one sentence.

Looked at only after states have shown *that* something is wrong. zypper's exit codes say less than they seem to: 0 also
ends a run that left patches out, and above 99 they are hints beside success (`EXITS`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.ended import why_ended

EXITS: Final = {  # zypper(8): what each means, and what we make of it
    0: "it believes that all is well; patches that want a restart may have been left out",
    1: "a bug of zypper",
    2: "its command line was wrong",
    3: "an argument was invalid",
    4: "libzypp reported an error (a dependency problem, a download, a signature)",
    5: "it may not do that: root is needed",
    6: "no repository is defined",
    7: "another program has the package management locked",
    8: "an error while committing: the packages are to be looked at",
    100: "updates are needed",
    101: "security updates are needed",
    102: "installed; a restart of the machine is wanted",
    103: "installed; zypper itself was updated and is to be run again",
    104: "something that was asked for does not exist",
    105: "ended by a signal",
    106: "some repositories were skipped, as they could not be refreshed",
    107: "a script of a package failed",
}
CAUSES: Final[tuple[tuple[str, str, str], ...]] = (  # code, pattern (searched in order), what to say
    ("locked", r"System management is locked|ZYppLock|is locked by the application", "another program has it locked"),
    (
        "no_space",
        r"No space left on device|[Dd]isk full|needs \S+ (?:more space )?on the .* filesystem|Curl error 23",
        "the disk is full",
    ),
    (
        "expired",
        r"metadata expired since|[Ee]xpired on|key has expired|\(EXPIRED\)|outdated since|has expired",
        "its metadata or the key that signed it has expired",
    ),
    (
        "hash_mismatch",
        r"[Dd]igest verification failed|[Cc]hecksum (?:verification|mismatch|invalid)|wrong checksum|"
        r"digests? SIGNATURES? NOT OK|DIGESTS? .*NOT OK|does not match|expected checksum|Wrong digest|corrupted",
        "what was sent does not fit the checksums (mirror in mid-update, or tampered with)",
    ),
    (
        "signature",
        r"[Ss]ignature verification failed|unsigned|not signed|NOKEY|NOT OK|unknown (?:GnuPG )?key|signed with an|"
        r"trusted|invalid signature|BAD\b",
        "its signature could not be verified",
    ),
    (
        "no_network",
        r"Could not resolve|Couldn't resolve|Couldn't connect|Failed to connect|Connection (?:failed|re|timed)|"
        r"Curl error (?:5|6|7|28|35|52|56)\b|[Tt]imeout (?:exceeded|reached)|Network is unreachable|\bTimeout\b",
        "it could not be reached",
    ),
    (
        "not_found",
        r"\b404\b|not found on (?:the )?medium|File '.*' not found|Valid metadata not found",
        "it is not there",
    ),
    (
        "sources",
        r"No repositories defined|no enabled repositories|Repository type can't be determined|parse error",
        "the sources are not readable",
    ),
)  # fmt: skip
SCRIPT: Final = re.compile(r"(?:error|warning): %?(?P<what>\w+)\((?P<package>[^)]+)\) scriptlet failed,?(?P<how>.*)")


@dataclass(frozen=True, slots=True)
class Cause:
    """`code` as in `messages.TransactionResult.code` or `NotReady.code`."""

    code: str
    reason: str


def refresh_failure(words: tuple[str, ...], rc: int) -> Cause:
    """Why metadata could not be refreshed, from what zypper told."""
    text = "\n".join(words)
    where = re.search(r"[Rr]epository '([^']+)'|(https?://[^\s'/]+)", text)
    name = (where[1] or where[2]) if where else "A repository"
    for code, pattern, saying in CAUSES:
        if re.search(pattern, text):
            return Cause(code, f"{name}: {saying}.")
    first = words[0] if words else f"zypper ended with {rc} ({EXITS.get(rc, 'unknown to us')}) and gave no reason"
    return Cause("refresh_failed", f"The metadata could not be refreshed: {first[:200]}")


def download_failure(words: tuple[str, ...], rc: int, name: str) -> Cause:
    """Why a package is not there after it was to be downloaded."""
    text = "\n".join(words)
    for code, pattern, saying in CAUSES:
        if re.search(pattern, text):
            stable = {"no_network": "network", "not_found": "network", "locked": "lock_timeout"}.get(code, code)
            return Cause(stable, f"{name} could not be downloaded: {saying}.")
    return Cause(
        "network", f"{name} could not be downloaded: zypper ended with {rc} ({EXITS.get(rc, 'unknown to us')})."
    )


def script_failures(text: str) -> tuple[Cause, ...]:
    """Scripts of packages that failed in a run of rpm: the package may count as installed all the same."""
    found = [
        Cause("maintainer_script_failed", f"{m['package']}: %{m['what']} failed{m['how'].rstrip('.')}.")
        for m in SCRIPT.finditer(text)
    ]
    return tuple(dict.fromkeys(found))  # fmt: skip


def blame(text: str, rc: int, *, timed_out: bool, killed: tuple[str, ...], limit_s: float) -> Cause:
    """The cause in what rpm printed while it applied."""
    if timed_out:
        return Cause("timeout", why_ended(text, killed, limit_s))
    if re.search(r"No space left on device|needs \S+ (?:more space )?on the .* filesystem|cpio: write failed", text):
        return Cause("no_space", f"The disk was full: {_first(text, 'space', 'filesystem', 'cpio')}.")
    if scripts := script_failures(text):
        return scripts[0]
    if re.search(r"can't create transaction lock|waiting for .* lock", text):
        return Cause("lock_timeout", "rpm's records are locked by another program.")
    if rc < 0:
        return Cause("killed", f"rpm was killed (signal {-rc}) in the middle of its work.")
    if "Failed dependencies" in text:
        return Cause(
            "changed", f"rpm's own check says no: {' '.join(text.partition('Failed dependencies:')[2].split())[:200]}."
        )
    if clash := _first(text, "conflicts with file", "conflicts between"):
        return Cause("package_failed", f"{clash}.")
    return Cause("failed", f"{_first(text, 'error:') or f'rpm ended with {rc} and gave no reason'}."[:300])


def _first(text: str, *words: str) -> str:
    lines = (line.strip().removeprefix("error: ").rstrip(".") for line in text.splitlines())
    return next((line[:200] for line in lines if any(w in line for w in words)), "")


@dataclass(frozen=True, slots=True)
class Conffiles:
    """Configuration files that rpm could not simply replace. `kept`: as they were, the new one lies beside."""

    kept: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()  # the former one lies beside as .rpmsave: the package wants it so


def conffiles(text: str) -> Conffiles:
    """What rpm printed of configuration files: `warning: /etc/x created as /etc/x.rpmnew`."""
    kept = re.findall(r"warning: (\S+) created as \S+\.rpmnew", text)
    replaced = re.findall(r"warning: (\S+) saved as \S+\.rpm(?:save|orig)", text)
    return Conffiles(tuple(dict.fromkeys(kept)), tuple(dict.fromkeys(replaced)))
