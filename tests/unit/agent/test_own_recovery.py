"""What a lost run of an own package came to, in words."""

from __future__ import annotations

import pytest

from brakeline.agent.providers.own.apply import _told

GONE = ("payroll is 1.0, not 2.0",)


@pytest.mark.parametrize(
    ("step", "repaired", "wrong", "unproven", "code", "said"),
    [
        ("done", False, "", (), "interrupted_complete", "The run was lost. Every package is as ordered"),
        ("payroll post", True, "", (), "interrupted_repaired", "The run was lost. Every package is as ordered"),
        ("payroll post", False, "", GONE, "interrupted_broken",
         "in the middle of payroll: post; nothing is run a second time. Now: payroll is 1.0, not 2.0."),
        ("payroll post", True, "", GONE, "interrupted_broken",
         "in the middle of payroll: post; its scripts were run again. Now: payroll is 1.0, not 2.0."),
        ("payroll post", False, "payroll: Its post script ended with 3.", (), "interrupted_broken",
         "its scripts were run again. payroll: Its post script ended with 3."),
    ],
)  # fmt: skip
def test_it_says_whether_scripts_were_run_again(
    step: str, repaired: bool, wrong: str, unproven: tuple[str, ...], code: str, said: str
) -> None:
    told = _told(step, repaired, wrong, unproven)
    assert told[0] == code
    assert said in told[1]
