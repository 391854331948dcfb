"""The curated catalogue: products that people know, each with what it takes to bring it: where its vendor says what is
new, how that is vouched for, how it is seen on an endpoint, how it is installed and taken away without a question.

Definitions are content (`catalogue.json`): signed with the rest of it, recalled with it. They change no endpoint: from
a definition and the vendor's own files `adopting` makes a draft of an own package, which authors read and sign.
Start at `model`; `definitions` reads strictly, `vouching`, `openpgp` and `minisign` judge, `drafting` words.
All of it is pure; `catalog.tools` runs gpgv and rpmkeys.
"""
