"""What macOS' tools print about updates, read. Pure; no provider is made of it, and nothing was run on macOS.

Tried on output that was built after published formats: `docs/reference/providers.md` says so.
"""
