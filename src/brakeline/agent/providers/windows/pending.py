"""Whether a restart of Windows is due, from every place in the registry that says so. Pure.

Each place is looked at by itself and told by itself: there is no one place that knows all. Not among them: what the
agent of a configuration manager keeps in WMI.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from brakeline.protocol.messages import RebootNeed

Hive = Mapping[str, Mapping[str, object]]  # values by key below HKEY_LOCAL_MACHINE; both in lower case
_CBS: Final = r"software\microsoft\windows\currentversion\component based servicing"
_WU: Final = r"software\microsoft\windows\currentversion\windowsupdate"
_SESSION: Final = r"system\currentcontrolset\control\session manager"
_NAME: Final = r"system\currentcontrolset\control\computername"
_NETLOGON: Final = r"system\currentcontrolset\services\netlogon"
FILES_NAMED: Final = 3

KEYS: Final = (  # a key that is there says it
    (rf"{_CBS}\rebootpending", "servicing of Windows waits for a restart"),
    (rf"{_CBS}\rebootinprogress", "servicing of Windows is in the middle of a restart"),
    (rf"{_CBS}\packagespending", "packages of Windows wait for a restart"),
    (rf"{_WU}\auto update\rebootrequired", "Windows Update has installed what needs a restart"),
    (rf"{_WU}\auto update\postrebootreporting", "Windows Update has not told yet what came of the last restart"),
    (r"software\microsoft\servermanager\currentrebootattempts", "a role or feature of the server waits for a restart"),
)
VALUES: Final = (  # a value that is there says it
    (_NETLOGON, "joindomain", "the machine was joined to a domain"),
    (_NETLOGON, "avoidspnset", "the machine's account was changed"),
    (r"software\microsoft\windows\currentversion\runonce", "dvdrebootsignal", "an installer has asked for a restart"),
)


def reboot_need(hive: Hive) -> RebootNeed:
    """Every reason there is, in sentences for people."""
    reasons = [told for key, told in KEYS if key in hive]
    reasons += [told for key, value, told in VALUES if value in hive.get(key, {})]
    if hive.get(r"software\microsoft\updates", {}).get("updateexevolatile", 0) not in (0, "", None):
        reasons.append("an update of Windows waits for a restart")
    if any(key.startswith(rf"{_WU}\services\pending" + "\\") for key in hive):
        reasons.append("a service of Windows Update waits for a restart")
    reasons += [*_renamed(hive), *_files(hive)]
    return RebootNeed(bool(reasons), tuple(reasons))


def _renamed(hive: Hive) -> tuple[str, ...]:
    now = hive.get(rf"{_NAME}\activecomputername", {}).get("computername", "")
    then = hive.get(rf"{_NAME}\computername", {}).get("computername", "")
    return (f"the machine is called {then} after a restart",) if now and then and now != then else ()


def _files(hive: Hive) -> tuple[str, ...]:
    """Pairs of file and new name; a second one that is empty means that the file goes."""
    found = []
    for value in ("pendingfilerenameoperations", "pendingfilerenameoperations2"):
        listed = hive.get(_SESSION, {}).get(value) or ()
        names = [str(x) for x in listed] if isinstance(listed, (list, tuple)) else []
        found += [name.removeprefix("\\??\\") for name in names[::2] if name]
    if not found:
        return ()
    more = f" and {len(found) - FILES_NAMED} more" if len(found) > FILES_NAMED else ""
    return (f"files wait to be replaced or removed: {', '.join(found[:FILES_NAMED])}{more}",)
