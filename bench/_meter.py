"""What each kind of command of one run cost: the record that a provider's runner is given by `bench.patching`.

Put in front of the program that the bench starts, which may run inside another root: standard library only.
"""

import contextlib
import json
import resource
from collections.abc import Iterator, Sequence
from typing import Any

TOLD = frozenset((
    "-s", "--download-only", "--no-download", "install", "auto", "show", "policy", "gencaches", "download",
    "-qa", "-qp", "-q", "--verify", "-K", "-U", "--test", "--eval", "--dry-run", "search",
    "-Su", "-Suw", "-Si", "--print",
))  # fmt: skip


class Meter:
    """CPU-seconds of ended children by kind of command; a `Record` of `agent.providers.apt.runner`."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self.argv: Sequence[str] = ()
        self.before = 0.0

    def began(self, argv: Sequence[str]) -> int:
        self.argv, self.before = argv, children_s()
        return 0

    def ended(self, _command: int, _rc: int, _took_s: float, **_more: bool) -> None:
        kind = kind_of(self.argv)
        self.spent[kind] = self.spent.get(kind, 0.0) + children_s() - self.before

    @contextlib.contextmanager
    def following(self, _command: int, _out: Any, _begin: int) -> Iterator[None]:
        yield


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def kind_of(argv: Sequence[str]) -> str:
    """The program and the words that tell its verbs apart; of dnf's library the verb that it was asked for."""
    words = [w for w in argv if w != "env" and "=" not in w.partition(" ")[0]]
    program = next(w for w in words if not w.startswith("-") and w != "NEEDRESTART_SUSPEND").rpartition("/")[2]
    if "python" in program:
        last = argv[-1]
        verb = json.loads(last) if last.startswith("{") else {"verb": last.rpartition("/")[2].removesuffix(".json")}
        return f"dnf's library: {verb['verb']}{' (installed alone)' if verb.get('alone') else ''}"
    return " ".join([program, *(w for w in words if w in TOLD)])
