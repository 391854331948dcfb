"""The agent: keeps the endpoint's promises in user mode, and at worst stops patching while the host goes on.

Invariants: standard library only; never imports `platform`, `launcher` or any slice; the network-facing process is
unprivileged; only `helper` (root, a closed list of verbs) changes anything, and only for an order that it has
verified itself; package transactions run in a unit of their own that survives both.
"""
