"""Every place of the registry that says that a restart is due. Built after what is published of them; not recorded."""

from __future__ import annotations

import pytest

from brakeline.agent.providers.windows.pending import KEYS, VALUES, Hive, reboot_need

CV, CONTROL = r"software\microsoft\windows\currentversion", r"system\currentcontrolset\control"
PLACES: dict[str, Hive] = {
    **{told: {key: {}} for key, told in KEYS},
    **{told: {key: {value: 1}} for key, value, told in VALUES},
    "an update of Windows waits for a restart": {r"software\microsoft\updates": {"updateexevolatile": 1}},
    "a service of Windows Update waits for a restart": {rf"{CV}\windowsupdate\services\pending\855e8a7c": {}},
    "the machine is called NEW after a restart": {
        rf"{CONTROL}\computername\activecomputername": {"computername": "OLD"},
        rf"{CONTROL}\computername\computername": {"computername": "NEW"},
    },
    r"files wait to be replaced or removed: C:\a.dll, C:\b.dll, C:\c.dll and 1 more": {
        rf"{CONTROL}\session manager": {
            "pendingfilerenameoperations": [rf"\??\C:\{n}.dll" if i == 0 else "" for n in "abcd" for i in (0, 1)]
        }
    },
}


@pytest.mark.parametrize("told", PLACES)
def test_each_place_says_it_by_itself(told: str) -> None:
    assert reboot_need(PLACES[told]).reasons == (told,)


def test_nothing_of_it_is_no_restart() -> None:
    quiet: Hive = {
        r"software\microsoft\updates": {"updateexevolatile": 0}, rf"{CV}\windowsupdate\services\pending": {},
        rf"{CONTROL}\session manager": {"pendingfilerenameoperations": ["", ""]}, rf"{CV}\runonce": {"other": "x"},
        rf"{CONTROL}\computername\activecomputername": {"computername": "SAME"},
        rf"{CONTROL}\computername\computername": {"computername": "SAME"},
    }  # fmt: skip
    assert not reboot_need(quiet).required
    assert not reboot_need({}).required


def test_all_of_them_at_once() -> None:
    every: dict[str, dict[str, object]] = {}
    for hive in PLACES.values():
        for key, values in hive.items():
            every.setdefault(key, {}).update(values)
    assert set(reboot_need(every).reasons) == set(PLACES)
