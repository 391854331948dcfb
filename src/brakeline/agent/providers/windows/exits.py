"""What Windows' numbers mean: exit codes of Windows Installer, errors of Windows Update. Pure.

A number is a hint, never the proof: whether a program is there in the version that was ordered is read afterwards.
"""

from __future__ import annotations

from typing import Final

from brakeline.agent.providers.model import Refused

RESTART: Final = (3010, 1641)  # done, and a restart is due; the second: it has begun one by itself
# msiexec: the system's own errors, as its documentation numbers them
MSI: Final = {
    1602: ("refused", "A person has cancelled it"),
    1603: ("failed", "Windows Installer gave up and put back what it had changed"),
    1605: ("nothing_to_do", "The product is not installed"),
    1612: ("network", "The package that it was installed from cannot be had"),
    1613: ("refused", "It needs a newer Windows Installer"),
    1618: ("locked", "Another installation is going on"),
    1619: ("refused", "The package cannot be opened"),
    1620: ("refused", "The package is no package of Windows Installer, or damaged"),
    1625: ("refused", "A policy of this machine forbids it"),
    1633: ("refused", "The package is for another kind of processor"),
    1638: ("refused", "Another version of the product is installed"),
    1654: ("refused", "It cannot be installed while the system starts"),
}
# Windows Update and what it passes on: (our code, sentence)
HRESULTS: Final = {
    0x80070005: ("refused", "Access was denied"),
    0x80070070: ("no_space", "The disk was full"),
    0x80070643: ("failed", "Windows Installer gave up and put back what it had changed"),
    0x80072EE2: ("network", "The update server gave no answer in time"),
    0x80072EE7: ("network", "The name of the update server is not known"),
    0x80072EFD: ("network", "The update server could not be reached"),
    0x80072F8F: ("network", "The certificate of the update server was not believed: is the clock right?"),
    0x80073712: ("unhealthy", "The component store is damaged: a file of it is missing"),
    0x800F0831: ("unhealthy", "The component store is damaged: an earlier update is missing from it"),
    0x800F0922: ("failed", "Servicing failed: too little room in the system partition, or no way to the update server"),
    0x80240009: ("locked", "Another search, download or installation is going on"),
    0x8024000B: ("shutdown", "It was cancelled"),
    0x80240016: ("locked", "Another installation is going on, or a restart is due first"),
    0x80240017: ("nothing_to_do", "The update does not apply to this machine"),
    0x80240019: ("refused", "An update that must be installed alone was to be installed with others"),
    0x8024001E: ("shutdown", "The service or the system was shutting down"),
    0x80240020: ("refused", "It needs a person who is logged on"),
    0x80240022: ("failed", "Every update failed"),
    0x80240023: ("refused", "Its licence was not accepted"),
    0x80240024: ("nothing_to_do", "There was no update to install"),
    0x80240438: ("network", "There was no way to the update server"),
    0x8024200D: ("network", "The update was not downloaded whole and must be fetched again"),
    0x8024401C: ("network", "The update server gave no answer in time"),
    0x80244022: ("network", "The update server is overloaded"),
    0x8024402C: ("network", "The name of the update server or of the proxy is not known"),
    0x80246002: ("hash_mismatch", "What was sent does not fit its digest"),
    0x80246007: ("network", "The update has not been downloaded"),
}
# What the parts of Windows Update are called by the third and fourth digit of its errors
_FAMILIES: Final = {0x4: ("network", "The update server could not be spoken to"),
                    0x6: ("network", "The download failed"),
                    0x9: ("failed", "The inventory of Windows Update failed"),
                    0xD: ("unhealthy", "Windows Update could not update itself")}  # fmt: skip


def msi(code: int) -> tuple[Refused | None, bool]:
    """What an exit code of msiexec says: trouble or None, and whether a restart is due."""
    if code == 0 or code in RESTART:
        return None, code in RESTART
    kind, sentence = MSI.get(code, ("failed", "Windows Installer failed"))
    return Refused(kind, f"{sentence} ({code})."), False


def hresult(number: int) -> Refused | None:
    """What an HRESULT says; None = success. It may come as a signed number."""
    code = number & 0xFFFFFFFF
    if code < 0x80000000:
        return None
    family = _FAMILIES.get((code >> 12) & 0xF) if code >> 16 == 0x8024 else None
    kind, sentence = HRESULTS.get(code) or family or ("failed", "Windows Update failed")
    return Refused(kind, f"{sentence} (0x{code:08X}).")
