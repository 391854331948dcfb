"""Heals what a lost or killed run left behind: as far as states ask for it, and to versions that were ordered.

`dpkg --configure -a`, `apt-get -f install` and `apt-get check` all return 0 while a package stays half-installed
(flag R); only installing it again helps. So: finish dpkg's journal, configure what waits, then reinstall R-state
packages, each to the version that the order names or that was there before, under the same hook.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from brakeline.agent.providers.apt import plan as rules
from brakeline.agent.providers.apt.dpkg import Installed, by_key
from brakeline.agent.providers.apt.queries import Queries
from brakeline.agent.providers.apt.runner import Runner, told
from brakeline.agent.providers.apt.staging import CONFFILE_ENVIRONMENT, CONFFILE_OPTIONS, Staging
from brakeline.agent.providers.model import Order

CONFIGURE_S_MAX = 900.0
SCRIPT_FAILED = "F"  # running a failed vendor script again is not repair; one that was cut off is another matter
FAILED = re.compile(r"^dpkg: error processing (?:package|archive) ([^\s:]+)(?::\S+)? \(--", re.M)


@dataclass(frozen=True, slots=True)
class Repair:
    """Repairs one endpoint within the authority of one order."""

    runner: Runner
    staging: Staging
    limit_s: float
    lost: tuple[Installed, ...] | None = None  # what was installed before a run that was lost; None = it was not

    def repair(self, order: Order, log: Callable[[str], None]) -> bool:
        """True if anything was tried. Whether it helped is for the caller to read from dpkg."""
        queries = Queries(self.runner)
        installed = queries.installed()
        what = ["-a"] if needs_repair(installed, self._interrupted()) else self._cut_off(installed, queries.native())
        if not what:
            return False
        log(f"Repairing: dpkg --configure {' '.join(what)}.")
        environment = CONFFILE_ENVIRONMENT[order.bounds.conffile_policy]
        options = CONFFILE_OPTIONS[order.bounds.conffile_policy]
        self._job(environment, "dpkg", *options, "--configure", *what)
        if broken := [p for p in queries.installed() if p.needs_reinstall]:
            self._reinstall(order, broken, queries, environment, log)
            self._job(environment, "dpkg", *options, "--configure", "-a")
        return True

    def _reinstall(
        self,
        order: Order,
        broken: list[Installed],
        queries: Queries,
        environment: dict[str, str],
        log: Callable[[str], None],
    ) -> None:
        native = queries.native()
        for wanted in reinstall_choices(order, broken, native):
            found = queries.simulate("--reinstall", "--allow-downgrades", "install", *wanted)
            transaction = rules.transaction_of(found, by_key(queries.installed()))
            allowed = {p.key for p in broken} | {f"{a.name}:{a.architecture}" for a in order.transaction.actions}
            if found.errors or any(f"{a.name}:{a.architecture}" not in allowed for a in transaction.actions):
                continue
            log(f"Repairing: installing again {', '.join(wanted)}.")
            bounds = order.bounds
            self.staging.prepare(transaction, bounds.conffile_policy, bounds.lock_wait_s, bounds.download_kib_s)
            arguments = ("apt-get", "-q", "-c", self.staging.configuration, "--reinstall", "--allow-downgrades")
            self._job(environment, *arguments, "--no-remove", "install", *wanted)
            if not any(p.needs_reinstall for p in queries.installed()):
                return

    def _cut_off(self, installed: tuple[Installed, ...], native: str) -> list[str]:
        if self.lost is None:
            return []
        try:
            with open(self.staging.log, "rb") as log:
                said = told(log, 0)
        except OSError:
            said = ""  # lost with the run: a script that had failed is run once more
        return [called(p, native) for p in cut_off(installed, self.lost, said)]

    def _interrupted(self) -> bool:
        try:
            return any(e.name.isdigit() for e in self.runner.path("/var/lib/dpkg/updates").iterdir())
        except OSError:
            return False

    def _job(self, environment: dict[str, str], *command: str) -> None:
        with open(self.staging.log, "ab+") as out:
            self.runner.job(*command, timeout_s=min(self.limit_s, CONFIGURE_S_MAX), log=out, environment=environment)


def needs_repair(installed: tuple[Installed, ...], interrupted: bool) -> bool:
    """Judged by state: an interrupted dpkg, a half-installed package, or unpacked ones with no failed script."""
    if interrupted or any(p.needs_reinstall or p.state[1:2] == "H" for p in installed):
        return True
    states = {p.state[1:2] for p in installed}
    return bool(states & set("UWt")) and SCRIPT_FAILED not in states


def cut_off(installed: Iterable[Installed], before: Iterable[Installed], said: str) -> tuple[Installed, ...]:
    """What a lost run left half-configured without a word of dpkg's that its script has failed: that was cut off.

    dpkg's journal tells the same, until any other run of dpkg (a hold that somebody sets) has put it away.
    """
    failed, old = set(FAILED.findall(said)), {p.key for p in before if p.state[1:2] == SCRIPT_FAILED}
    return tuple(
        p for p in installed if p.state[1:2] == SCRIPT_FAILED and p.key not in old and p.name not in failed
    )  # fmt: skip


def reinstall_choices(order: Order, broken: list[Installed], native: str) -> tuple[tuple[str, ...], ...]:
    """What to try, best first: everything at its ordered version, else as it was before."""
    files = {(x.name, x.architecture, x.version): x.path for x in order.inverse.archives} if order.inverse else {}
    after = {f"{a.name}:{a.architecture}": a.after for a in order.transaction.actions}
    before = {f"{a.name}:{a.architecture}": a.before for a in order.transaction.actions}
    choices = []
    for versions in (after, before):
        wanted = [(p, versions.get(p.key) or p.version) for p in broken]
        arguments = [files.get((p.name, p.architecture, v)) or _argument(p, v, native) for p, v in wanted]
        if tuple(arguments) not in choices:
            choices.append(tuple(arguments))
    return tuple(choices)


def _argument(p: Installed, version: str, native: str) -> str:
    return f"{called(p, native)}={version}"


def called(p: Installed, native: str) -> str:
    """As apt and dpkg call it on this endpoint."""
    return p.name if p.architecture in (native, "all") else f"{p.name}:{p.architecture}"
