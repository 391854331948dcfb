"""pip's rows of the correctness table. *Real manager, synthetic packages.* Truth is what the environment's own Python
imports; each function takes a fresh endpoint (`tests.pipindex.Tool`) on which `tool` 1.0 needs `part<2`.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.aptroot import order
from tests.correctness.row import Row
from tests.correctness.standin import Trait
from tests.pipindex import LABEL, Index, Tool, template, tool, without_proxies

from brakeline.agent.providers.model import Bounds, Planned, Refused
from brakeline.protocol.messages import Outcome, TransactionResult, UpdateRef

NEEDS = ("part<2",)


def _row(box: Tool, situation: str, expected: str, answer: Refused | TransactionResult, code: str) -> Row:
    """Right: the environment is as it must be in this situation, and the answer has the code that says so."""
    truth = f"tool {box.has('tool')}, part {box.has('part')}"
    said = answer.reason if isinstance(answer, Refused) else answer.detail
    return Row("pip", situation, truth, f"{answer.code}: {said}", truth == expected and answer.code == code)


def _plan(box: Tool, name: str, version: str) -> Planned | Refused:
    return box.provider.plan((UpdateRef(f"{name}:{LABEL}", version),), Bounds())


def _apply(box: Tool, version: str, bounds: Bounds | None = None) -> Refused | TransactionResult:
    found = _plan(box, "tool", version)
    return found if isinstance(found, Refused) else box.provider.apply(order(found.transaction, bounds), [].append)


def plain_update(box: Tool) -> Row:
    box.index.publish("tool", "1.1", NEEDS)
    return _row(box, "plain update", "tool 1.1, part 1.0", _apply(box, "1.1"), "ok")


def dependency_comes_along(box: Tool) -> Row:
    box.index.publish("part", "2.0")
    box.index.publish("tool", "2.0", ("part>=2",))
    return _row(box, "needs a newer dependency", "tool 2.0, part 2.0", _apply(box, "2.0"), "ok")


def kept_back(box: Tool) -> Row:
    box.index.publish("part", "2.0")
    answer = _plan(box, "part", "2.0")
    assert isinstance(answer, Refused)
    return _row(box, "kept back by another package", "tool 1.0, part 1.0", answer, "refused")


def dependency_missing(box: Tool) -> Row:
    box.index.publish("tool", "1.1", ("nowhere",))
    return _row(box, "a dependency cannot be had", "tool 1.0, part 1.0", _apply(box, "1.1"), "lists_stale")


def no_network(box: Tool) -> Row:
    box.index.publish("tool", "1.1", NEEDS)
    box.index.stop()
    answer = box.provider.refresh()
    assert isinstance(answer, Refused)
    return _row(box, "no network", "tool 1.0, part 1.0", answer, "no_network")


def disk_too_small(box: Tool) -> Row:
    box.index.publish("tool", "1.1", NEEDS)
    answer = _apply(box, "1.1", Bounds(disk_reserve_bytes=1 << 60))
    return _row(box, "disk too small", "tool 1.0, part 1.0", answer, "no_space")


def downgrade(box: Tool) -> Row:
    box.index.publish("tool", "0.9", NEEDS)
    return _row(box, "downgrade", "tool 1.0, part 1.0", _apply(box, "0.9"), "refused")


def source_only(box: Tool) -> Row:
    """A version that the index has as source alone: looking into it would run it."""
    box.index.publish("tool", "1.1", NEEDS).rename(box.index.directory / "tool/tool-1.1.tar.gz")
    page = box.index.directory / "tool/index.html"
    page.write_text(page.read_text().replace("tool-1.1-py3-none-any.whl", "tool-1.1.tar.gz"))
    return _row(box, "no wheel, only source", "tool 1.0, part 1.0", _apply(box, "1.1"), "lists_stale")


def done_already(box: Tool) -> Row:
    """Somebody updated by hand between plan and order: nothing is done a second time, and nothing is claimed."""
    box.index.publish("tool", "1.1", NEEDS)
    found = _plan(box, "tool", "1.1")
    assert isinstance(found, Planned)
    box.pip("install", "tool==1.1")
    answer = box.provider.apply(order(found.transaction), [].append)
    assert answer.outcome is Outcome.REFUSED
    return _row(box, "updated by hand meanwhile", "tool 1.1, part 1.0", answer, "nothing_to_do")


SITUATIONS: tuple[Callable[[Tool], Row], ...] = (
    plain_update, dependency_comes_along, kept_back, dependency_missing, no_network, disk_too_small, downgrade,
    source_only, done_already,
)  # fmt: skip
MANAGER: Final = "pip"
TRAITS: Final[dict[str, Trait]] = {}  # no peer claims to manage applications' environments
QUICK: Final = frozenset({"plain_update"})
_TEMPLATE: list[Path] = []


def provoked(work: Path, situation: Callable[[Tool], Row]) -> Row:
    """One situation on a fresh endpoint; the environment is made once and copied."""
    if not _TEMPLATE or not _TEMPLATE[0].exists():
        made = template(Path(tempfile.mkdtemp(prefix="pip-rows-")) / "venv")
        atexit.register(shutil.rmtree, made.parent, ignore_errors=True)
        _TEMPLATE[:] = [made]
    index = Index(work / "index")
    try:
        with without_proxies():
            index.publish("tool", "1.0", needs=NEEDS)
            index.publish("part", "1.0")
            box = tool(work / "root", _TEMPLATE[0], index)
            box.pip("install", "tool==1.0")
            return situation(box)
    finally:
        index.stop()
