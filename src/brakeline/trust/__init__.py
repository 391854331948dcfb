"""What may be believed: pure verification over bytes. Standard library only, no I/O.

`ed25519` is our own RFC 8032, because endpoints have nothing but Python's standard library.
"""
