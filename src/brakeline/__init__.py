"""Brakeline: patch management that cannot become the outage. Patch fast. Brake faster.

Where to start: `docs/architecture.md` for the whole, then the package docstring of the part you came for:
`core` (words), `protocol` (the wire), `agent` (the endpoint), `launcher` (what updates and judges it), `trust` (what
may be believed), `rollout` (planner and brake: the heart), `server.wiring` (how the parts are put together).
"""

__version__ = "0.1.0"
