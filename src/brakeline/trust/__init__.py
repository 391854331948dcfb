"""What may be believed: pure verification over bytes and text. Standard library only, no I/O.

Promises: a document that cannot be verified changes nothing; expired ones still forbid; no clock is read here.
Start at `model` (words), then `assess` (the one door), `metadata` (TUF's roles), `statements` (leases, recalls).
`ed25519` is our own RFC 8032, because endpoints have nothing but Python's standard library.
"""
