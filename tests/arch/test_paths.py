"""No other path to an endpoint exists: all that can reach one is on one page, and what changes it comes from an offer.

The enumeration reads the code (`paths`), the page says why each path is safe, and here both are compared; each rule is
shown to fail when a new path is planted. The second half puts it to the agent's mind and to the root helper themselves.
"""

from __future__ import annotations

import dataclasses
import threading
import types
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.arch import paths
from tests.unit.agent.test_decide import CANDIDATE, ME, OFFERED, PLAN, ROLLOUT, Story, begun, grant, prepared, sign

from brakeline.agent import commands, events, helper_wire
from brakeline.agent.config import Config
from brakeline.agent.helper import Helper
from brakeline.agent.providers.model import Refused
from brakeline.protocol import codec, messages, routes
from brakeline.protocol.messages import InventoryAck

PAGE = Path(__file__).resolve().parents[2] / "docs/reference/paths-to-an-endpoint.md"
CHANGES = (
    commands.AskHelper,
    commands.AskLauncher,
    commands.AskRestart,
)  # whatever else a command does, only these lead to a change


def test_every_path_is_documented_and_every_documented_path_exists() -> None:
    written = paths.documented(PAGE.read_text())
    assert paths.everything() - set(written) == set(), "new paths: say on the page why they are safe, or take them out"
    assert set(written) - paths.everything() == set(), "these paths exist no more"
    assert set(written.values()) == {"offer", "narrows", "harmless"}


@pytest.mark.parametrize("name", sorted(paths.CALLERS))
def test_what_makes_or_carries_out_a_change_is_called_in_one_place(name: str) -> None:
    assert paths.callers_of(name) == paths.CALLERS[name]


def test_only_known_modules_of_the_endpoint_start_programs() -> None:
    assert paths.starters_of_programs() == paths.PROGRAMS


def test_no_program_on_an_endpoint_knows_of_catalogue_scripts() -> None:
    sides = [p for side in ("agent", "launcher", "core", "trust") for p in (paths.SRC / side).rglob("*.py")]
    assert len(sides) > 80
    assert not [p for p in sides if "SCRIPTS" in p.read_text() or "scripts/" in p.read_text()]


def test_the_helper_s_verbs_are_what_its_wire_names() -> None:
    found = paths.verbs_of((paths.SRC / "agent/helper.py").read_text())
    assert found == {f"helper {verb}" for verb in helper_wire.VERBS}


# --- planted: each rule sees a new path ------------------------------------------------------------------------------


def test_a_planted_field_verb_command_and_route_are_seen() -> None:
    reply = dataclasses.make_dataclass(
        "CheckInReply", [("run_now", str, "")], bases=(messages.CheckInReply,), frozen=True
    )
    assert paths.fields_of((reply,)) - paths.everything() == {"CheckInReply.run_now"}
    nested = dataclasses.make_dataclass("Fresh", [("deep", tuple[reply, ...], ())], frozen=True)
    assert "CheckInReply.run_now" in paths.fields_of((nested,))
    source = (paths.SRC / "agent/helper.py").read_text()
    source = source.replace('case "log":', 'case "log":\n                    pass\n                case "shell":')
    assert paths.verbs_of(source) - paths.everything() == {"helper shell"}
    assert paths.commands_of(commands.Command | int, "agent") - paths.everything() == {"agent int"}
    planted = types.ModuleType("routes")
    vars(planted).update(vars(routes), PUSH="/agent/v1/push")
    assert paths.routes_of(planted) - paths.everything() == {"/agent/v1/push"}
    assert paths.children_of("def shell(options): ...") - paths.everything() == {"brakeline-agent shell"}


def test_a_planted_second_caller_and_a_planted_program_are_seen(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "agent" / "sly.py").write_text("import subprocess\ncell.sign_order(offer)\n")
    assert paths.callers_of("sign_order", tmp_path) == {"agent/sly.py"}
    assert paths.starters_of_programs(tmp_path) == {"agent/sly.py"}


def test_a_line_without_a_reason_and_a_path_told_twice_are_refused() -> None:
    with pytest.raises(AssertionError, match="no reason"):
        paths.documented("| `x` | harmless |  – |")
    with pytest.raises(AssertionError, match="twice"):
        paths.documented("| `x` | harmless | a |\n| `x` | narrows | b |")


# --- put to the agent itself -----------------------------------------------------------------------------------------

WAITS = (
    commands.DoCheckIn, commands.RenewSecret, commands.SendInventory, commands.StartScan, commands.StartPlan,
    commands.StartRefresh,
)  # fmt: skip
OTHER = "1.0.0-" + "ee" * 6
PARTS: dict[str, Any] = {  # each part of a reply at its most demanding, none of them an offer
    "settings": messages.Settings(messages.Mode.PATCH, 1, 10, 600),
    "candidates": (CANDIDATE, replace(CANDIDATE, rollout_id="ro_01JD0000000000000000000009")),
    "halted": ("ro_01JD0000000000000000000008",),
    "resync": True,
    "scan": 99,
    "recalled": (OTHER,),
    "granted": grant(messages.Settings(messages.Mode.PATCH, 1, 10, 600), 1),
    "restart": sign(OFFERED),  # signed by the cell, but no order to restart
    "follow": '{"signed":{"self_update":true,"pin":"x"}}',
}


def _answer(story: Story, waiting: commands.Command | None, parts: dict[str, Any]) -> None:
    """What the world says to something that the agent waits for."""
    match waiting:
        case commands.DoCheckIn():
            story.reply(**parts)
        case commands.RenewSecret():
            story.secret()
        case commands.SendInventory(summary=summary):
            story.happens(events.InventoryAcknowledged, InventoryAck(summary.sequence, "d"))
        case commands.StartScan(sequence=sequence):
            story.scanned(sequence)
        case commands.StartPlan(candidate=candidate):
            story.happens(events.PlanMade, candidate, PLAN)
        case commands.StartRefresh():
            story.happens(events.RefreshEnded, "")
        case _:
            story.passes(40)


def test_the_parts_below_are_the_reply_s_fields() -> None:
    assert set(PARTS) == {f.name for f in dataclasses.fields(messages.CheckInReply)} - {"server_ms", "offers"}


def test_nothing_in_a_reply_but_an_offer_leads_to_a_change() -> None:
    """All parts at once, then everything that can follow from them; at the end the agent is ready and waits."""
    story = begun()
    done = list(story.said)
    waiting = [c for c in done if isinstance(c, WAITS)]
    for step in range(80):
        _answer(story, waiting.pop(0) if waiting else None, PARTS if step < 30 else PARTS | {"resync": False})
        done += story.said
        waiting += [c for c in story.said if isinstance(c, WAITS)]
    assert len(done) > 20
    assert any(ready.rollout_id == ROLLOUT for c in done if isinstance(c, commands.DoCheckIn) for ready in c.body.ready)
    assert not [c for c in done if isinstance(c, CHANGES)]


def test_the_same_agent_begins_as_soon_as_there_is_an_offer() -> None:
    """So that the test above is about offers and not about an agent that never does anything."""
    story = prepared().reply(candidates=(CANDIDATE,), offers=(sign(OFFERED),))
    assert story.the(commands.AskHelper).offer_id == OFFERED.offer_id


def test_an_offer_that_the_cell_has_not_signed_changes_nothing() -> None:
    story = prepared().reply(candidates=(CANDIDATE,), offers=(sign(OFFERED, b"x" * 32),))
    assert story.none(commands.AskHelper)


class _Ledger:
    """Remembers what the helper would begin."""

    def __init__(self) -> None:
        self.begun: list[Any] = []

    def begin(self, order: Any, *_: int) -> dict[str, Any]:
        self.begun.append(order)
        return {"ok": True}

    def status(self, _: str) -> dict[str, Any]:
        return {"ok": True}

    forget = status

    def log(self, _: str) -> str:
        return ""

    def run(self, _: str, begin: int) -> tuple[str, int]:
        return "", begin

    def time_floor(self, ms: int) -> int:
        return ms


class _Lists:
    """A provider of which only the refresh may be used here: whatever else is asked of it fails."""

    def refresh(self) -> Any:
        return types.SimpleNamespace(at_ms=1)

    def undo(self, rollout_id: str, *, look: bool) -> Refused:
        """Nothing is stored here; a look is all that no order is needed for."""
        assert look, rollout_id
        return Refused("no_way_back", "nothing is stored")


def test_no_verb_of_the_root_helper_begins_anything_without_a_signed_order() -> None:
    ledger, config = _Ledger(), Config("https://x", "", ME.endpoint_id, ME.cell_key)
    serving = Helper(config, ledger, _Lists, frozenset({0}), threading.Lock(), threading.Lock(), system="apt")  # type: ignore[arg-type]
    transaction = codec.to_plain(PLAN.transaction)
    forged = codec.to_plain(sign(OFFERED, b"x" * 32))
    for verb in (*helper_wire.VERBS, "shell", "", None):
        for order in (None, {}, forged):
            serving.answer(0, {"verb": verb, "transaction_id": "tx_01JD0000000000000000000001", "order": order,
                               "transaction": transaction, "server_ms": OFFERED.issued_ms,
                               "rollout_id": ROLLOUT})  # fmt: skip
    assert ledger.begun == []
    good = {"verb": "apply", "order": codec.to_plain(sign(OFFERED)), "transaction": transaction}
    assert serving.answer(0, good)["ok"] is True
    assert len(ledger.begun) == 1
