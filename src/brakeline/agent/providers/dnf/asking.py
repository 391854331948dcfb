"""Starts `child` under the endpoint's own Python and reads its answer. Nothing here judges what came out."""

from __future__ import annotations

import json
import pkgutil
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.dnf.answers import answer_of
from brakeline.agent.providers.model import Refused

PYTHONS: Final = ("/usr/libexec/platform-python", "/usr/bin/python3")  # the one that dnf itself is run by
ASK_S_MAX: Final = 300.0
CHILD: Final = "brakeline.agent.providers.dnf.child"
PARTS: Final = ("__init__", "base", "opening", "resolving", "looking", "ordering", "fetching", "applying", "main")


@dataclass(frozen=True, slots=True)
class Child:
    """dnf of one endpoint. `root`: the root that it manages, as the endpoint names it."""

    runner: Runner
    root: str = "/"

    def ask(self, verb: str, **request: object) -> dict[str, Any] | Refused:
        """A short, read-only question."""
        ran = self.runner.query(*self._command(verb, request), timeout_s=ASK_S_MAX)
        return understood(ran)

    def do(self, verb: str, *, file: Path, inside: str, timeout_s: float, log: Path, **request: object) -> Ran:
        """What may take long: its whole tree is owned by the guard. The request lies in `file`, for people too."""
        file.write_text(json.dumps({"verb": verb, "root": self.root, **request}))
        with open(log, "ab+") as out:
            return self.runner.job(self._python(), "-I", "-c", source(), f"@{inside}", timeout_s=timeout_s, log=out)

    def _command(self, verb: str, request: dict[str, object]) -> tuple[str, ...]:
        return self._python(), "-I", "-c", source(), json.dumps({"verb": verb, "root": self.root, **request})

    def _python(self) -> str:
        return next((p for p in PYTHONS if self.runner.path(p).exists()), PYTHONS[-1])


@cache
def source() -> str:
    """The parts of `child` as one text: what they import of each other stands before it there."""
    texts = [(pkgutil.get_data(CHILD, f"{part}.py") or b"").decode() for part in PARTS]
    return re.sub(rf"^from {re.escape(CHILD)}\.\w+ import (\([^)]*\)|.*)\n", "", "\n\n".join(texts), flags=re.MULTILINE)


def understood(ran: Ran) -> dict[str, Any] | Refused:
    """The answer; a refusal of the child's, or of ours where there is no answer."""
    found = answer_of(ran.text)
    if found is None:
        how = "took too long" if ran.timed_out else f"ended with {ran.rc}"
        tail = " ".join(ran.text.split())[-200:]
        return Refused("unhealthy", f"dnf gave no answer: it {how}{': ' + tail if tail else ''}.")
    if "refused" in found:
        code, reason = found["refused"]
        return Refused(str(code), str(reason))
    return found
