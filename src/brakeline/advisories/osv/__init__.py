"""Advisories of many ecosystems in the shape of OSV: read from files, kept as rows, asked by OSV's own question.

Owns the shared table `advisory_span`. Promises: a document is read whole or the file is refused with its place; ranges
stay text (introduced, fixed, last_affected) in the words of their ecosystem; lists of versions are kept only where they
are all that the document says or where the ecosystem's order is not known here; what is withdrawn is kept and never
answers. `exposure` matches inventories with these rows.
Start with `model`, then `documents` (one OSV document -> rows, pure), `archive` (a file -> documents), `rustsec`,
`tracker`, `secdb` (other shapes), `feeds` (which feed is which; `anyfile` without its name), `questions` (pure), then
`service` and `api`.
"""
