"""Rollouts: one change goes through rings of endpoints, and stops by itself when it does harm.

Owns the tables `rollout*` and `quarantine`. Promises: never two rings at once, never more than the budget, silence is
evidence, no data holds, a halted update is offered by no later rollout, nothing is offered twice. Calls `fleet`
(presence, names) and `tenancy` (audit); called by the agent plane, `remediation`, console and CLI through `service`.

Pure and worth reading in this order: `model` (words), `arms` (who is treated), `evidence` (what is counted), `evalue`
and `alpha` (the statistics), `brake` (halt, hold, promote), `planner` (the next blueprint), `lint` (distrusts it),
`power` (what can be seen at this size), `pace` (how fast, by risk), `plans` and `plan_lint` (what people write). Doing:
`store` (SQL), `executor` (reconciler), `journal` (brake presses that survive everything), `service` (use cases).
docs/explanation/brake.md tells it as a story.
"""
