"""Remediation: from findings to deployments. What may be patched (policies), and what is to be patched (deployments).

Owns the tables settings_policy, deployment, deployment_endpoint. Promises: without a policy everybody is only assessed;
of several policies the most careful wins; a deployment is pinned to exact versions before anybody confirms it, and
whoever is left out is named with the reason. It changes nothing itself: it makes a rollout, and that goes by rings.
Calls `fleet`, `exposure`, `rollout`. Start with `model`, then `decide` (policies) and `planner` (pins), both pure.
"""
