"""Words that everybody uses: ids, clock, errors, limits, version order of deb and rpm.

Invariants: standard library only; no I/O; no reading of time, randomness or environment (they come in as
parameters), so every module here can be used by server, agent, launcher and simulation alike.
Start with `errors` (two roots: `Fault` and `Bug`) and `ids`.
"""
