"""The smallest program: looks for a newer or recalled release before it runs anything.

Owns `/var/lib/brakeline-launcher` (versions, state, trusted metadata); nothing else writes there. Promises: no lack of
an update, key, clock, network or disk stops the last good agent; a bad release runs at most three times; no state waits
for a person. Standard library only. Start at `model` (words), then `decide` (the machine), `shell`.
"""
