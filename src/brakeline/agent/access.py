"""Who may do what on Windows, as security identifiers and descriptors in their text form (SDDL). Pure.

The helper's pipe, its folder and the agent's folder are each opened to named accounts alone, inheritance cut off (`P`).
Folders are given to administrators: below ProgramData everybody may make one beforehand, and an owner may always open
what is his again.
On the pipe the agent may read and write; it may not make a further instance of it, which is what the right of appending
means there: whoever could would be asked in the helper's place. Next: `windows_accounts`, which puts these to use.
"""

from __future__ import annotations

import hashlib
import re
import struct
from typing import Final

SYSTEM: Final = "S-1-5-18"
ADMINISTRATORS: Final = "S-1-5-32-544"
OURS: Final = frozenset({SYSTEM, ADMINISTRATORS})  # who may own what the agent is to believe
SERVICES: Final = "NT SERVICE\\"  # each service has an account of its own there, without a password
TALKS: Final = 0x0012019B  # FILE_GENERIC_READ | FILE_GENERIC_WRITE without FILE_CREATE_PIPE_INSTANCE
_DRIVE: Final = re.compile(r"([A-Za-z]:|[\\/]{2}[^\\/]+[\\/][^\\/]+)?[\\/]*")
_SID: Final = re.compile(r"S-1-\d{1,14}(?:-\d{1,10}){1,15}")


def is_sid(text: str) -> bool:
    return _SID.fullmatch(text) is not None


def service_sid(name: str) -> str:
    """The identifier of a service's own account: the same on every Windows, whether the service is there or not."""
    digest = hashlib.sha1(name.upper().encode("utf-16-le"), usedforsecurity=False).digest()
    return "S-1-5-80-" + "-".join(str(n) for n in struct.unpack("<5I", digest))


def pipe(agent: str) -> str:
    """SYSTEM owns it and does everything; the agent's account ("" = nobody) talks."""
    talks = f"(A;;0x{TALKS:08x};;;{agent})" if agent else ""
    return f"O:SYG:SYD:P(A;;GA;;;SY){talks}"


def helper_folder() -> str:
    """SYSTEM and administrators alone: what lies there runs as SYSTEM."""
    return "O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)"


def owner_folder() -> str:
    """What everybody may read and only administrators say: the configuration, the list of programs, the limits."""
    return f"{helper_folder()}(A;OICI;0x001200a9;;;BU)"  # a folder below ProgramData lets every user make files else


def is_drive(folder: str) -> bool:
    """Whether it is all of a drive or of a share, which nobody wants closed to everybody but administrators."""
    return _DRIVE.fullmatch(folder) is not None


def program_folder(agent: str) -> str:
    """What the agent's account runs and cannot change."""
    return f"{helper_folder()}(A;OICI;0x001200a9;;;{agent})"  # read and execute


def agent_folder(agent: str) -> str:
    """The agent's own state, with its key."""
    return f"{helper_folder()}(A;OICI;FA;;;{agent})"


def may_ask(agent: str) -> frozenset[int | str]:
    """Whom the helper answers. An account that is not known is nobody."""
    return frozenset({SYSTEM, agent} - {""})
