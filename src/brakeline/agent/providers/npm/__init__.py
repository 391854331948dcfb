"""npm as a provider: the packages that `npm install --global` has put on this endpoint, each with all it needs.

A global package is an application with a tree of its own below it; an update of it is named `typescript:npm`. What it
needs is inventoried under `npm-in-NAME`, and a transaction names every change in the tree, so that what was ordered is
exactly what is there afterwards. What the system's own package manager put among them is its own, and left alone.
Start reading at `provider`; `answers` is pure.
"""

from brakeline.agent.providers.npm.provider import NpmProvider

__all__ = ["NpmProvider"]
