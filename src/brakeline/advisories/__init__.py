"""Advisories: published statements that versions of a product are vulnerable, and what is known to be exploited.

Owns the shared tables `advisory`, `kev`, `feed_state`; written by the feed role alone, read by every tenant.
Promises: interval rows (introduced, fixed), never lists of versions; a broken or bad feed leaves the last good
content in place and says so, with the age of what is there. Advisory data changes no endpoint: it is server content.
Start with `model`, then `importers` (bytes -> rows, pure), then `service`. `seed/` is what an installation knows on
its first offline day; its README says what that cannot include.
"""
