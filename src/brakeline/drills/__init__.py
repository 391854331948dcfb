"""Live drills: a bad change on purpose, on this installation, taken by simulated endpoints alone.

Owns the table `drill` (reports) and, per organisation, one *drill organisation* in which the simulated endpoints live
while a drill runs: row-level security keeps them out of every list, count, budget and rollout of the real ones, and
keeps the drill's rollout away from every real endpoint. They enrol and check in through the shipped agent plane, and
the shipped rollout engine has to stop them. Calls `fleet`, `rollout`, `tenancy`. Start at `service`, `run`, `decide`.
"""
