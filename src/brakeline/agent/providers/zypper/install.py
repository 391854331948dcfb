"""Runs rpm on exactly the files of an order: the one place where packages are changed.

rpm has no resolver: what it is not given it does not install, and what it is given it installs or says why not. Kernels
are installed beside their older versions (`-i`), everything else replaces them (`-U`). Removals go first, by version.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from brakeline.agent.providers.apt.runner import Ran
from brakeline.agent.providers.zypper.staging import Staging
from brakeline.agent.providers.zypper.tools import Tools
from brakeline.protocol.messages import Action, ActionKind, Transaction

AGAIN: Final = ("--replacepkgs", "--replacefiles")  # of what an interrupted run may have done in part


@dataclass(frozen=True, slots=True)
class Install:
    """One run of rpm. `beside`: names that must not replace their other versions."""

    tools: Tools
    staging: Staging
    transaction: Transaction
    beside: frozenset[str] = frozenset()

    def test(self, limit_s: float) -> Ran:
        """rpm's own check of the whole: requirements, conflicts of files, room everywhere. Changes nothing."""
        ran = Ran(0, "")
        for command in self._commands("--test"):
            ran = self.tools.at.job(*command, timeout_s=limit_s)  # its words must not need room where there is none
            if ran.rc != 0:
                break
        return ran

    def run(self, limit_s: float, *, again: bool = False) -> Ran:
        """Do it. A run that was ended stops here; what follows a failed step is left undone."""
        gone = [f"{a.name}-{_without_epoch(a.before)}.{a.architecture}" for a in self._of(ActionKind.REMOVE)]
        done = Ran(0, "")
        if gone:
            done = self._job(self.tools.rpm("-e", "--nodeps", "--allmatches", *gone), limit_s)
        for command in self._commands(*(AGAIN if again else ())):
            if done.timed_out or done.rc < 0:
                return done
            ran = self._job(command, limit_s)
            done = Ran(ran.rc or done.rc, done.text + ran.text, ran.timed_out, ran.killed)
        return done

    def _commands(self, *options: str) -> list[tuple[str, ...]]:
        coming = [a for a in self.transaction.actions if a.after]
        replacing = [a for a in coming if a.name not in self.beside]
        added = [a for a in coming if a.name in self.beside]
        older = ("--oldpackage",) if self._of(ActionKind.DOWNGRADE) else ()
        # zypper's resolver has proven twice what is to go; rpm would only see that it is still there.
        loose = ("--nodeps",) if self._of(ActionKind.REMOVE) else ()
        commands = []
        for verb, actions in (("-U", replacing), ("-i", added)):
            if actions:
                files = self.staging.files(actions)
                commands.append(self.tools.rpm(verb, "--noglob", *older, *loose, *options, "--", *files))
        return commands

    def _of(self, kind: ActionKind) -> list[Action]:
        return [a for a in self.transaction.actions if a.kind is kind]

    def _job(self, command: Iterable[str], limit_s: float) -> Ran:
        with open(self.staging.log, "ab+") as log:
            return self.tools.at.job(*command, timeout_s=limit_s, log=log)


def take_new_conffiles(tools: Tools, paths: Iterable[str]) -> None:
    """Policy `replace`: the package's own file, with the owner's beside it as .rpmsave."""
    for path in paths:
        new, mine = tools.at.path(f"{path}.rpmnew"), tools.at.path(path)
        if new.exists():
            if mine.exists():
                os.replace(mine, tools.at.path(f"{path}.rpmsave"))
            os.replace(new, mine)


def _without_epoch(version: str) -> str:
    return version.rpartition(":")[2]
