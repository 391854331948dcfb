"""Root's own limits: what the file may say, that nonsense forbids all, and that the helper keeps to it by itself."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.agent.test_decide import ME, OFFERED, PLAN, sign

from brakeline.agent import local_limits
from brakeline.agent.config import Config
from brakeline.agent.helper import Helper
from brakeline.agent.providers.fake import FakeProvider
from brakeline.agent.providers.model import Order
from brakeline.core.clock import ManualClock
from brakeline.core.errors import Fault
from brakeline.core.weekly import DAY_MIN, NEVER
from brakeline.protocol import codec
from brakeline.protocol.messages import NO_LIMITS, Conffiles, LocalLimits, Mode, RestartConsent, Settings
from brakeline.protocol.settings import UNSAID, WIDEST, within


def written(tmp_path: Path, plain: Any) -> LocalLimits:
    (tmp_path / "limits.json").write_text(plain if isinstance(plain, str) else json.dumps(plain))
    return local_limits.load(tmp_path / "agent.json")


def test_without_a_file_there_are_no_limits(tmp_path: Path) -> None:
    assert local_limits.load(tmp_path / "agent.json") == NO_LIMITS
    assert within(NO_LIMITS) == UNSAID


def test_what_root_writes_is_what_holds_and_the_rest_stays_open(tmp_path: Path) -> None:
    found = written(tmp_path, {"windows": ["sat,sun 00:00/24:00"], "restart": "never", "conffiles": "keep"}).settings
    assert found is not None
    assert (found.windows, found.restart) == (("sat 00:00/sun 24:00",), RestartConsent.NEVER)
    assert (found.mode, found.conffiles, found.nice) == (Mode.PATCH, Conffiles.KEEP, 0)
    assert found.probes == ()  # the one thing that is nobody's unless root says so
    allowed = written(tmp_path, {"probes": ["http:8080", "/bin/true", "http:8080"]}).settings
    assert allowed is not None
    assert (allowed.probes, allowed.mode) == (("/bin/true", "http:8080"), Mode.PATCH)


@pytest.mark.parametrize(
    ("plain", "told"),
    [
        ("{", "no JSON object"), ("[]", "no JSON object"), ('"' + "x" * 20_000 + '"', "no JSON object"),
        ({"window": ["sat 00:00/24:00"]}, "did you mean 'windows'"), ({"windows": ["saturdays"]}, "no weekly window"),
        ({"windows": []}, "1 to 14"), ({"windows": "sat 00:00/24:00"}, "expected a list"),
        ({"windows": ["sat 00:00/24:00", "sat 01:00/02:00"]}, "overlap"), ({"mode": "both"}, "expected one of"),
        ({"nice": 20}, "0 to 19"), ({"nice": True}, "0 to 19"), ({"restarts_a_day": 5}, "0 to 4"),
        ({"download_kib_s": 1}, "16 to"), ({"probes": ["*"]}, "neither http"),
        ({"probes": ["sh -c x"]}, "neither http"), ({"probes": ["http"] * 51}, "at most 50"),
        ({"probes": "http"}, "expected a list"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_forbids_everything_and_says_why(tmp_path: Path, plain: Any, told: str) -> None:
    found = written(tmp_path, plain)
    assert found.settings is not None
    assert (found.settings.mode, found.settings.restart) == (Mode.ASSESS, RestartConsent.NEVER)
    assert found.settings.windows == (NEVER,)
    assert told in found.problem
    assert found.problem.startswith("limits.json, in which root limits this endpoint, cannot be used")


def test_bytes_that_nobody_wrote_on_purpose_are_refused_with_a_reason() -> None:
    with pytest.raises(Fault, match="no JSON object"):
        local_limits.read(b"\xff\xfe")


# --- the helper, by itself -----------------------------------------------------------------------------------------


@dataclass
class Ledger:
    """Remembers what the helper would begin."""

    begun: list[Order] = field(default_factory=list)

    def begin(self, order: Order, *_: int) -> dict[str, Any]:
        self.begun.append(order)
        return {"ok": True}

    def time_floor(self, ms: int) -> int:
        return ms


def helper(local: Settings | None, problem: str = "", minute: int = 0) -> tuple[Helper, Ledger, FakeProvider]:
    ledger, config = Ledger(), Config("https://x", "", ME.endpoint_id, ME.cell_key)
    provider = FakeProvider(ManualClock())
    made = Helper(config, ledger, lambda: provider, frozenset({0}), threading.Lock(), threading.Lock(),  # type: ignore[arg-type]
                  system="apt", local=LocalLimits(local, problem=problem), local_minute=lambda: minute)  # fmt: skip
    return made, ledger, provider


def apply(made: Helper, bounds: Settings | None = WIDEST, conffiles: str = "replace") -> dict[str, Any]:
    order = sign(replace(OFFERED, conffile_policy=conffiles))
    return made.answer(0, {"verb": "apply", "order": codec.to_plain(order), "bounds": codec.to_plain(bounds),
                           "transaction": codec.to_plain(PLAN.transaction)})  # fmt: skip


def test_the_helper_keeps_to_root_s_limits_whatever_the_agent_says() -> None:
    made, ledger, _ = helper(replace(WIDEST, conffiles=Conffiles.KEEP, download_kib_s=100, nice=7))
    assert apply(made)["ok"] is True
    (order,) = ledger.begun
    assert (order.bounds.conffile_policy, order.bounds.download_kib_s, order.bounds.nice) == ("keep", 100, 7)


def test_the_agent_s_settings_narrow_what_the_helper_does_and_without_any_nothing_is_wider_than_the_order() -> None:
    made, ledger, _ = helper(None)
    apply(made, replace(WIDEST, conffiles=Conffiles.KEEP, nice=3))
    apply(made, None)
    apply(made, None, "keep")
    assert [o.bounds.conffile_policy for o in ledger.begun] == ["keep", "replace", "keep"]
    assert [o.bounds.nice for o in ledger.begun] == [3, 0, 0]


def test_outside_of_root_s_windows_and_in_assess_nothing_begins() -> None:
    saturday = replace(WIDEST, windows=("sat 00:00/24:00",))
    made, ledger, _ = helper(saturday, minute=4 * DAY_MIN)
    assert apply(made) == {"ok": False, "code": "window",
                           "reason": "outside of the windows that root allows: opens sat 00:00"}  # fmt: skip
    assert apply(helper(saturday, minute=5 * DAY_MIN)[0])["ok"] is True
    refused = apply(helper(replace(WIDEST, mode=Mode.ASSESS), "limits.json … cannot be used")[0])
    assert (refused["code"], refused["reason"]) == ("local_limits", "limits.json … cannot be used")
    assert ledger.begun == []


def test_an_update_over_changed_configuration_files_is_held_and_names_them() -> None:
    made, ledger, provider = helper(None)
    provider.changed["jq"] = ("/etc/jq.conf",)
    refused = apply(made, replace(WIDEST, conffiles=Conffiles.HOLD))
    assert refused["code"] == "conffiles"
    assert "/etc/jq.conf" in refused["reason"]
    assert ledger.begun == []
    provider.changed.clear()
    assert apply(made, replace(WIDEST, conffiles=Conffiles.HOLD))["ok"] is True
