"""What is started for one action, and what an installer's number and log say afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.model import Refused
from brakeline.agent.providers.windows import exits, lines
from brakeline.agent.providers.windows.box import Ended
from brakeline.agent.providers.windows.here import Here
from brakeline.agent.providers.windows.listed import Listed
from brakeline.protocol.messages import Action

Step = tuple[Listed | str, str]  # a package to install, or a product code to take away; what it is called


def steps(a: Action, p: Listed | None, before: tuple[Here, ...]) -> Iterator[Step]:
    """What is started for one action. An older package is refused by a newer product, so that goes first."""
    there = [h.program.product for h in before if (h.package.name, h.package.architecture) == (a.name, a.architecture)]
    goes = not a.after or (a.before and rules.is_older(a.after, a.before))
    if goes and there and there[0]:
        yield there[0], f"{a.name}-out"
    if p is not None:
        yield p, a.name


def judged(what: Listed | str, ended: Ended) -> tuple[Refused | None, bool]:
    """What the number of an installer says: trouble or None, and whether a restart is due."""
    if isinstance(what, str) or what.kind == "msi" or what.made_by == "burn":
        return exits.msi(ended.code)
    if ended.code == 0 or ended.code in exits.RESTART:
        return None, ended.code in exits.RESTART
    return Refused("failed", f"The installer of {what.name} ended with {ended.code}."), False


def cause(log: Path) -> str:
    """Why a package failed, as its log has it; "" = it does not say."""
    return lines.cause(lines.text_of(_read(log)))


def _read(path: Path) -> bytes:
    """The log of an installer: its first bytes, which say how it is written, and its end."""
    try:
        with open(path, "rb") as f:
            head = f.read(2)
            size = f.seek(0, 2)
            start = max(2, size - lines.LOG_TAIL_BYTES)
            f.seek(start + start % 2)
            return head + f.read()
    except OSError:
        return b""
