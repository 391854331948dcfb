"""What every part of the child stands on: the mark of its answer, refusals, what dnf and librepo have logged."""

import importlib
import logging
import sys
from typing import Any

MARK = "\x1ebrakeline-dnf "


class Refuse(Exception):
    """Ends the run before anything was changed."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Said(logging.Handler):
    """What dnf and librepo log, for the reason of a failure."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        sys.stderr.write(record.getMessage() + "\n")


SAID = Said()


def library(name: str) -> Any:
    """A module of the endpoint's own Python."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Refuse("unhealthy", "This endpoint's Python has no " + name + ".") from None


def flat(error: object) -> str:
    return " ".join(str(error).split())[:400]


def named(pid: int) -> str:
    try:
        with open("/proc/" + str(pid) + "/comm", encoding="utf-8") as f:
            return f.read().strip() + " (pid " + str(pid) + ")"
    except OSError:
        return "pid " + str(pid)
