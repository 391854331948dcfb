"""Asks pip itself what it would do, and what it can fetch. Nothing here changes an environment.

Every distribution of the environment is named to pip beside the wanted versions: else its resolver looks only at what
is new, and breaks what depends on the old (it ends with 0 and a warning then). Wheels only: to look into a source
distribution is to run it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed
from brakeline.agent.providers.apt.runner import Ran, Runner
from brakeline.agent.providers.model import Bounds, Refused
from brakeline.agent.providers.pip.environments import Environment
from brakeline.agent.providers.pip.report import Wheel, actions, wheels, why
from brakeline.protocol.messages import Transaction

ASK_S_MAX = 300.0
ORDER_S_MAX = 30.0
PIP = ("-I", "-m", "pip", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--retries", "1",
       "--timeout", "20")  # fmt: skip
WHEELS_ONLY = ("--only-binary", ":all:")
# pip's own order of versions (PEP 440), asked of the environment's own pip: is the second of each pair the older?
OLDER = (
    "import json,sys; from pip._vendor.packaging.version import Version as V; "
    "print(json.dumps([V(b)<V(a) for a,b in json.loads(sys.argv[1])]))"
)


@dataclass(frozen=True, slots=True)
class Found:
    """What pip would do, and with which wheels."""

    transaction: Transaction
    wheels: tuple[Wheel, ...]


@dataclass(frozen=True, slots=True)
class Resolver:
    """Questions about one environment."""

    runner: Runner
    environment: Environment
    ask_s_max: float = ASK_S_MAX

    def foreign(self) -> str:
        """ "" or why this environment's Python must not be run, not even to plan: others could have written it."""
        home = self.environment.home
        for path in (home, f"{home}/bin", self.environment.site, f"{self.environment.site}/pip"):
            try:
                s = os.stat(self.runner.path(path))
            except FileNotFoundError:
                continue  # pipx may share one pip among its environments
            except PermissionError:
                return f"{path} cannot be looked at"
            if s.st_uid != 0 or s.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return f"{path} can be written by others than root"
        return ""

    def resolve(
        self, wanted: Iterable[tuple[str, str]], have: tuple[Installed, ...], bounds: Bounds
    ) -> Found | Refused:
        """The exact transaction for these versions, every dependency of the whole environment satisfied."""
        pins = dict(wanted)
        others = sorted(p.name for p in have if p.name not in pins)
        named = [*(f"{n}=={v}" for n, v in sorted(pins.items())), *others]
        ran = self.runner.query(
            self.environment.python, *PIP, "install", *WHEELS_ONLY, "--dry-run", "--report", "-", "-q",
            "--upgrade-strategy", "only-if-needed", *named, timeout_s=self.ask_s_max,
        )  # fmt: skip
        if ran.timed_out:
            return Refused("network", f"pip gave no answer in {self.ask_s_max:.0f} s.")
        found = wheels(ran.text)
        if found is None or ran.rc != 0:
            return why(ran.text)
        versions = {p.name: p.version for p in have}
        older = self._older([(w.name, versions[w.name], w.version) for w in found if w.name in versions])
        if isinstance(older, Refused):
            return older
        made = rules.make_transaction(actions(found, versions, self.environment.label, older))
        if not made.actions:
            return Refused("nothing_to_do", "pip finds nothing to change.")
        return self._allowed(made, have, bounds) or Found(made, found)

    def _older(self, changes: list[tuple[str, str, str]]) -> frozenset[tuple[str, str]] | Refused:
        if not changes:
            return frozenset()
        pairs = json.dumps([(before, after) for _, before, after in changes])
        ran = self.runner.query(self.environment.python, "-I", "-c", OLDER, pairs, timeout_s=ORDER_S_MAX)
        try:
            said = json.loads(ran.text)
        except ValueError:
            return Refused("refused", "The environment's pip does not say which of two versions is older.")
        return frozenset((name, after) for (name, _, after), older in zip(changes, said, strict=True) if older)

    @staticmethod
    def _allowed(made: Transaction, have: tuple[Installed, ...], bounds: Bounds) -> Refused | None:
        held = frozenset(p.key for p in have if p.held)
        return rules.refuse_quarantined(made, bounds.without) or rules.refuse_beyond(made, bounds, held)

    def fetch(self, found: tuple[Wheel, ...], directory: str, timeout_s: float) -> Refused | None:
        """Fetch exactly these wheels, each by the digest that the index gave; None = all are there."""
        if bare := [w.name for w in found if not w.sha256]:
            return Refused("hash_mismatch", f"The index gives no SHA-256 of {rules.named(bare)}.")
        place = self.runner.path(directory)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        lines = [f"{w.name}=={w.version} --hash=sha256:{w.sha256}" for w in found]
        (place / "wanted.txt").write_text("\n".join(lines) + "\n")
        ran = self._download(directory, timeout_s, "--require-hashes", "-r", f"{directory}/wanted.txt")
        if ran.timed_out:
            return Refused("network", f"The wheels could not be fetched in {timeout_s:.0f} s.")
        return why(ran.text) if ran.rc != 0 else None

    def fetch_former(self, versions: Iterable[tuple[str, str]], directory: str, timeout_s: float) -> Refused | None:
        """Fetch the wheels of versions that are installed now, for the way back."""
        self.runner.path(directory).mkdir(parents=True, exist_ok=True, mode=0o700)
        ran = self._download(directory, timeout_s, *(f"{n}=={v}" for n, v in versions))
        return why(ran.text) if ran.rc != 0 or ran.timed_out else None

    def _download(self, directory: str, timeout_s: float, *what: str) -> Ran:
        words = (*PIP, "download", "--no-deps", *WHEELS_ONLY, "-d", directory, *what)
        return self.runner.job(self.environment.python, *words, timeout_s=timeout_s)
