"""Exposure: which advisories stand open on which endpoint, now, and what would close them.

Owns the tenant tables `endpoint_exposure` (counts and times, never one row per endpoint and CVE), `exposure_row` and
`exposure_value` (each endpoint's judged inventory, packed), `exposure_pruned` (when values that nobody has went),
`exposure_arrival` (what new advisories did), and an inverted index in memory, opened from them (`index`, `opening`) and
compared with the database (`checking`, `proving`). Promises:
matched by source package and by the vendor's own data; "not assessed" with a reason instead of silence; never 100 % on
no data.
Calls `fleet` (inventories, pending updates) and `advisories` (the rows). Start with `model` (the words), `units`
(which package is judged as what), `match` (pure, the whole decision), then `service`.
"""
