"""What winget's numbers mean, and the number of the installer that it has started. Pure.

As its documentation and its header number them. A number is a hint: which version is there is read afterwards.
"""

from __future__ import annotations

import re
from typing import Final

from brakeline.agent.providers.model import Refused
from brakeline.agent.providers.windows.exits import MSI, RESTART

RESTART_TO_FINISH: Final = (0x8A150109, 0x8A15010B)
CODES: Final = {
    0x8A150001: ("failed", "winget failed inside itself"),
    0x8A150002: ("refused", "This winget does not know a word that it was given: it is too old"),
    0x8A150005: ("shutdown", "It was cancelled"),
    0x8A150008: ("network", "The installer could not be downloaded"),
    0x8A15000A: ("unhealthy", "winget's index is damaged"),
    0x8A15000B: ("unhealthy", "The sources that winget has configured are damaged"),
    0x8A150010: ("refused", "No installer of it is for this machine"),
    0x8A150011: ("hash_mismatch", "The installer does not fit the digest in its manifest"),
    0x8A150014: ("nothing_to_do", "winget knows no such package"),
    0x8A150015: ("unhealthy", "winget has no sources"),
    0x8A150016: ("refused", "Several packages answer to that name"),
    0x8A150017: ("lists_stale", "winget's sources have no such version"),
    0x8A150019: ("refused", "It must be run by an administrator"),
    0x8A15001B: ("refused", "The Store is forbidden by a policy of this machine"),
    0x8A15002B: ("nothing_to_do", "winget has nothing newer of it for this machine"),
    0x8A15002D: ("hash_mismatch", "The installer did not pass a security check"),
    0x8A15002E: ("network", "The installer was not downloaded whole"),
    0x8A15003A: ("refused", "A policy of this machine forbids it"),
    0x8A150041: ("refused", "The terms of the package were not agreed to"),
    0x8A150045: ("network", "A source could not be opened"),
    0x8A150046: ("refused", "The terms of the source were not agreed to"),
    0x8A15004B: ("network", "A source could not be opened"),
    0x8A15004F: ("nothing_to_do", "What is installed is not older"),
    0x8A150050: ("refused", "winget does not know which version is installed"),
    0x8A150056: ("refused", "Its installer refuses to run as an administrator"),
    0x8A15005E: ("network", "The certificate of the server is not the one that is expected"),
    0x8A150068: ("held", "It is pinned on this endpoint by its owner"),
    0x8A150101: ("refused", "The program is running: it must be closed first"),
    0x8A150102: ("locked", "Another installation is going on"),
    0x8A150103: ("refused", "A file of it is in use"),
    0x8A150104: ("refused", "Something that it needs is missing"),
    0x8A150105: ("no_space", "The disk was full"),
    0x8A150106: ("failed", "There was too little memory"),
    0x8A150107: ("network", "It needs a way to the network"),
    0x8A15010A: ("refused", "The machine must be restarted first"),
    0x8A15010C: ("refused", "A person has cancelled it"),
    0x8A15010D: ("nothing_to_do", "Another version of it is installed"),
    0x8A15010E: ("nothing_to_do", "A newer version of it is installed"),
    0x8A15010F: ("refused", "A policy of the organisation forbids it"),
    0x8A150111: ("refused", "Another program uses it"),
    0x8A150113: ("refused", "It is not for this system"),
    0x8A150114: ("refused", "Its installer cannot go from the version that is there"),
}  # fmt: skip
_INSTALLER: Final = re.compile(
    r"[:：]\s*(?:0x)?(\d{3,5})\s*$"
)  # "Installer failed with exit code: 1603", in any language


def judged(code: int, text: str) -> tuple[Refused | None, bool]:
    """What came of a run by its number: trouble or None, and whether a restart is due."""
    if code == 0 or code in RESTART_TO_FINISH:
        return None, code != 0
    kind, sentence = CODES.get(code, ("failed", "winget failed"))
    number = installer_code(text)
    if number in RESTART:
        return None, True
    if number in MSI and kind == "failed":
        kind, sentence = MSI[number]
        return Refused(kind, f"{sentence} (its installer ended with {number})."), False
    more = f", its installer ended with {number}" if number else ""
    return Refused(kind, f"{sentence} (0x{code:08X}{more})."), False


def installer_code(text: str) -> int:
    """The number that an installer ended with, as winget's last words have it; 0 = they name none."""
    for line in reversed(text.splitlines()[-8:]):
        if found := _INSTALLER.search(line):
            return int(found[1])
    return 0
