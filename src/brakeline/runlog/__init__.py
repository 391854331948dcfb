"""What runs on endpoints: commands and output of package transactions, live; and what changed there, by whom.

Owns the tables run, run_part. Promises: an entry is acknowledged after commit, taken once, and never more of one
transaction, of one organisation or for longer than bounds and settings say; what is missing is counted and said; an
endpoint tells only of transactions that were offered to it. No decision anywhere follows from a log: results, health
and silence are evidence, this is for people. Changes of installed software come from inventories (`fleet`), and whose
they were from results (`rollout`).

Calls `fleet` and `rollout`. Start at `decide` (pure), then `service`.
"""
