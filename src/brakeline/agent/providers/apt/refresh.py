"""Pure: why package lists could not be refreshed, or are not to be believed. Each cause is told apart.

`apt-get update` returns 0 with every mirror unreachable, so the lines are read; `-eany` makes apt say errors for
what it would merely warn of. A Release that is past its `Valid-Until` is *expired*, never "up to date".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

CAUSES: tuple[tuple[str, str, str], ...] = (  # code, pattern (searched in order), what to say
    ("no_space", r"No space left on device|Write error.*\(28|Disk quota", "the disk is full"),
    ("locked", r"Could not get lock|Unable to lock", "another program has the lists locked"),
    ("expired", r"is expired \(invalid since", "its Release file has expired: the mirror is stale"),
    ("expired", r"EXPKEYSIG|KEYEXPIRED", "the key that it is signed with has expired: a newer one has to be taken in"),
    ("clock", r"is not valid yet", "its Release file is from the future: this endpoint's clock is behind"),
    (
        "hash_mismatch",
        r"Hash Sum mismatch|unexpected size|Hash sum mismatch",
        "what was sent does not fit the checksums (mirror in mid-update, or tampered with)",
    ),
    (
        "signature",
        r"NO_PUBKEY|BADSIG|EXPKEYSIG|is not signed|couldn't be verified|invalid signature|NOSPLIT|not available: NO_",
        "its signature could not be verified",
    ),
    (
        "changed",
        r"changed its '?(Origin|Label|Suite|Codename|Version|Defaultpriority)",
        "it now calls itself something else, and somebody has to accept that on the endpoint",
    ),
    (
        "no_network",
        r"Could not resolve|Temporary failure resolving|Could not connect|Unable to connect|Connection failed|"
        r"Connection timed out|Connection refused|Network is unreachable|No route to host|Could not handshake|"
        r"Connection reset|connection timed out|Something wicked",
        "it could not be reached",
    ),
    ("not_found", r"404 +Not Found|does not have a Release|no longer has a Release|File not found", "it is not there"),
    (
        "sources",
        r"Malformed |source list|sources could not be read|Type '.*' is not known",
        "the sources are not readable",
    ),
)


@dataclass(frozen=True, slots=True)
class RefreshFailure:
    """Why a refresh failed, in a stable word and one sentence."""

    code: str
    reason: str


def explain(text: str, rc: int) -> RefreshFailure | None:
    """What went wrong in the output of `apt-get update -eany`; None = every list was refreshed.

    `rc` counts only when apt printed no reason (killed, or a way to fail that we don't know).
    """
    lines = [line for line in text.splitlines() if line.startswith(("E:", "W:", "Err:", "  "))]
    blamed = [line for line in lines if line.startswith(("E:", "Err:")) or _is_fetch_warning(line)]
    if not blamed and rc == 0:
        return None
    evidence = "\n".join(lines)
    where = _where(evidence)
    for code, pattern, saying in CAUSES:
        if re.search(pattern, evidence):
            return RefreshFailure(code, f"{where or 'A repository'}: {saying}.")
    first = blamed[0].partition(": ")[2] if blamed else f"apt-get update ended with {rc} and gave no reason"
    return RefreshFailure("refresh_failed", f"The lists could not be refreshed: {first[:200]}")


def _is_fetch_warning(line: str) -> bool:
    return line.startswith("W:") and bool(re.search(r"Failed to fetch|GPG error|could not be|index files failed", line))


def _where(evidence: str) -> str:
    """The repository that is named first, without what follows in its path."""
    m = re.search(r"(?:Err:\d+ |fetch |file for |repository '|error: )((?:https?|file|copy|mirror)[^\s']*)", evidence)
    if m is None:
        return ""
    return re.sub(r"/(?:dists/.*|\./.*|InRelease|Release|Packages.*)$", "", m.group(1)).rstrip("/:")


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """What an (In)Release file says of its own age. Unix milliseconds; 0 = it does not say."""

    label: str
    date_ms: int
    valid_until_ms: int


def parse_release_file(text: str) -> ReleaseFile:
    """The first fields of an InRelease or Release file."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith(("SHA256:", "MD5Sum:", "SHA1:")):
            break
        name, colon, value = line.partition(": ")
        if colon:
            fields[name.lower()] = value.strip()
    name = (
        fields.get("label") or fields.get("origin") or fields.get("codename") or fields.get("suite") or "A repository"
    )
    return ReleaseFile(name, _when(fields.get("date", "")), _when(fields.get("valid-until", "")))


def _when(text: str) -> int:
    try:
        return int(parsedate_to_datetime(text).timestamp() * 1000) if text else 0
    except ValueError:
        return 0


def expired_sentence(releases: tuple[ReleaseFile, ...], now_ms: int) -> str:
    """ "" or which lists are past their date: what they show as up to date may not be."""
    late = [r for r in releases if 0 < r.valid_until_ms < now_ms]
    if not late:
        return ""
    days = max((now_ms - r.valid_until_ms) / 86_400_000 for r in late)
    labels = ", ".join(dict.fromkeys(r.label for r in late))
    return f"The lists of {labels} expired {days:.1f} days ago: newer updates may be missing."
