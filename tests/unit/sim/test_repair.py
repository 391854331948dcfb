"""Who needs hands: every symptom has a rule for either owner, and every real incident is classified by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from brakeline.sim.incidents import AtReboot, Fault, Immediate, Symptom, parse
from brakeline.sim.repair import hand_repairs, repair, rule_text

FILE = Path(__file__).parents[2] / "data" / "incidents" / "incidents.json"

# True = somebody has to go there. What really happened is harsher for mcafee, malwarebytes and trendmicro: their
# content deleted parts of the operating system, or hooked its kernel. Content of ours cannot, and the agent's process
# ends with its recall.
CLASSIFIED = {
    "crowdstrike-2024-cf291": False,  # the host dies with the release; the look at its next boot finds the recall
    "crowdstrike-2024-debian": True,  # only at a restart: perhaps before the launcher
    "mcafee-2010-dat5958": False,  # the network is back when the agent has ended
    "defender-2023-asr": True,  # deleted links stay deleted
    "sophos-2012": False,  # the launcher does not update through the agent
    "trendmicro-2005": False,
    "avast-2009": True,  # quarantined programs stay away
    "kaspersky-2013": False,
    "panda-2015": True,  # only at a restart
    "malwarebytes-2013": False,
    "apple-2016-kext": True,  # only at a restart
    "rhel-2020-boothole": True,  # a vendor's update, the boot loader
    "ms-2022-dc-bootloop": True,
    "ms-2026-kb5082063": True,
    "ms-2018-amd": True,
    "exchange-2022-y2k22": False,
}


def test_every_real_incident_is_classified() -> None:
    incidents = parse(FILE.read_text("utf-8"))
    assert {x.id: repair(x.fault, x.ours).hands for x in incidents} == CLASSIFIED
    assert [hand_repairs(x, 7) for x in incidents] == [7.0 if CLASSIFIED[x.id] else 0.0 for x in incidents]


@pytest.mark.parametrize("symptom", list(Symptom))
@pytest.mark.parametrize("ours", [True, False])
def test_every_symptom_has_a_rule_with_a_reason(symptom: Symptom, ours: bool) -> None:
    assert len(repair(Fault(symptom, 1.0, None, Immediate()), ours).reason.split()) > 5


@pytest.mark.parametrize("symptom", list(Symptom))
def test_a_restart_makes_no_rule_milder(symptom: Symptom) -> None:
    running, restarted = (repair(Fault(symptom, 1.0, None, when), ours=True) for when in (Immediate(), AtReboot()))
    assert restarted.hands >= running.hands


def test_a_vendor_s_update_is_never_milder_than_a_release_under_the_launcher() -> None:
    for symptom in Symptom:
        fault = Fault(symptom, 1.0, None, Immediate())
        assert repair(fault, ours=False).hands >= repair(fault, ours=True).hands


def test_the_rules_can_be_printed_whole() -> None:
    text = rule_text()
    assert len(text.splitlines()) == 2 + 2 * len(Symptom) + 3
    assert "| silent | a vendor's | at any time | yes | the operating system is down" in text
