"""Advisories: published statements that versions of a product are vulnerable, what is exploited, how likely, how bad.

Owns the shared tables `advisory`, `advisory_correction`, `kev`, `epss`, `cvss`, `feed_state`, `feed_arrival`; written
by the feed role alone, read by every tenant. Promises: interval rows (introduced, fixed), never lists of versions; a
broken, older or bad feed leaves the last good content in place and says so, with the age of what is there. Advisory
data changes no endpoint: it is server content. Start with `model`, then `importers`, `scores`, `severity` (bytes ->
rows, pure), `arrivals` (is it newer?), then `service`; `by_feed` and `reading` are what is known, read again
only where it changed; `importing` is what people and addresses bring. `ecosystems` has
their names and orders, `osv/` rows of many of them. `seed/` is what an installation knows on its first offline day; its
README says what that cannot include.
"""
