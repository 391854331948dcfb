"""SQL of rollouts and nothing else: rows to model and back. Private to the slice's service and executor.

`rollouts`: the rollout itself, blueprints (compare and swap), events, samples, quarantine. `arms`: targets, ticks,
subjects with their evidence. `offers`: signed orders and results. Every function runs in the caller's tenant
transaction.
"""
