"""Advisories as vendors publish them in shapes of their own, read as rows (`osv.model.Span`), like those of OSV.

Owns no table: what is read here goes the way of every feed (`osv.feeds.read`), with the same refusals. Promises: pure
readers, strict and bounded; a document of another vendor refuses the file; what the vendor says of a package is kept
with its reason (not affected, will not be fixed, still looked into), so that silence is explained. Start with `feeds`,
which says which name brings what, then the reader of one vendor.
"""
