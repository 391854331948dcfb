"""The rows by which rollout plans are compared: one fault each, with the figures that the design page measured.

`PAGE` holds median and 95th percentile of endpoints harmed among 8.5 million under the plan that has to be beaten, as
measured there without any launcher's help. Next: `replay`, which runs them.
"""

from __future__ import annotations

from typing import Final

from brakeline.sim.incidents import After, AtLocalMidnight, AtReboot, Creep, Fault, Immediate, Onset, Subset, Symptom


def _fault(symptom: Symptom, share: float, onset: Onset, subset: Subset | None = None) -> Fault:
    return Fault(symptom, share, subset, onset)


NOW: Final = Immediate()
CREEP_H: Final = 48.0  # hours until memory is full on all; own reading of the row, it fits its figures
ROWS: Final = {
    "dead at once, 100 %": _fault(Symptom.SILENT, 1.0, NOW),
    "dead at once, 5 %": _fault(Symptom.SILENT, 0.05, NOW),
    "dead at once, 0.1 %": _fault(Symptom.SILENT, 0.001, NOW),
    "agent crashes, launcher reverts, 100 %": _fault(Symptom.CRASH_REVERTS, 1.0, NOW),
    "agent crashes, launcher reverts, 5 %": _fault(Symptom.CRASH_REVERTS, 0.05, NOW),
    "agent crashes, launcher reverts, 0.2 %": _fault(Symptom.CRASH_REVERTS, 0.002, NOW),
    "dead after 2 h, 100 %": _fault(Symptom.SILENT, 1.0, After(2.0)),
    "dead at next restart, 100 %": _fault(Symptom.SILENT, 1.0, AtReboot()),
    "dead at next restart, 5 %": _fault(Symptom.SILENT, 0.05, AtReboot()),
    "memory creeps, 100 %": _fault(Symptom.MEMORY_CREEP, 1.0, Creep(CREEP_H)),
    "network lost, 100 %": _fault(Symptom.NETWORK_LOST, 1.0, NOW),
    "dead at once, a subset of 0.2 %": _fault(Symptom.SILENT, 1.0, NOW, Subset("os_build", 0.002)),
    "dead at local midnight": _fault(Symptom.SILENT, 1.0, AtLocalMidnight()),
}
# The page has no figures for these: endpoints that answer every check-in and are harmed all the same.
HARMS: Final = {
    "files deleted, 100 %": _fault(Symptom.DELETES, 1.0, NOW),
    "files deleted, 5 %": _fault(Symptom.DELETES, 0.05, NOW),
    "files deleted, a subset of 0.2 %": _fault(Symptom.DELETES, 1.0, NOW, Subset("os_build", 0.002)),
    "blocks, 100 %": _fault(Symptom.BLOCKS, 1.0, NOW),
    "blocks, 5 %": _fault(Symptom.BLOCKS, 0.05, NOW),
    "blocks, a subset of 0.2 %": _fault(Symptom.BLOCKS, 1.0, NOW, Subset("os_build", 0.002)),
    "patch failure, 5 %": _fault(Symptom.PATCH_FAILURE, 0.05, NOW),
    "patch failure, a subset of 0.2 %": _fault(Symptom.PATCH_FAILURE, 1.0, NOW, Subset("os_build", 0.002)),
    "journal errors, 100 %": _fault(Symptom.JOURNAL_ERRORS, 1.0, NOW),
    "journal errors, 5 %": _fault(Symptom.JOURNAL_ERRORS, 0.05, NOW),
    "journal errors, a subset of 0.2 %": _fault(Symptom.JOURNAL_ERRORS, 1.0, NOW, Subset("os_build", 0.002)),
    "probe fails, 5 %": _fault(Symptom.PROBE_FAILS, 0.05, NOW),
    "takes nothing, 100 %": _fault(Symptom.TAKES_NOTHING, 1.0, NOW),
    "takes nothing, 20 %": _fault(Symptom.TAKES_NOTHING, 0.2, NOW),
    "takes nothing, 5 %": _fault(Symptom.TAKES_NOTHING, 0.05, NOW),
}
FAULTS: Final = ROWS | HARMS
PAGE: Final = {
    "dead at once, 100 %": (8, 14),
    "dead at once, 5 %": (15, 29),
    "dead at once, 0.1 %": (44, 77),
    "agent crashes, launcher reverts, 100 %": (3, 5),
    "agent crashes, launcher reverts, 5 %": (4, 10),
    "agent crashes, launcher reverts, 0.2 %": (28, 63),
    "dead after 2 h, 100 %": (11, 18),
    "dead at next restart, 100 %": (13, 21),
    "dead at next restart, 5 %": (25, 53),
    "memory creeps, 100 %": (38, 46),
    "network lost, 100 %": (9, 14),
    "dead at once, a subset of 0.2 %": (9, 12),
    "dead at local midnight": (32, 40),
}
