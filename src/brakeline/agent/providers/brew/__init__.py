"""Homebrew as a provider: formulae and casks of one prefix, on macOS and on Linux. *Not run on the real system.*

What is installed is read from the prefix; brew itself is started only by root's child, and only as the prefix's owner:
neither root nor the agent runs what its owner could have written. Updates are named `wget:brew`, `firefox:brew-cask`.
Start reading at `provider`; `answers` is pure.
"""

from brakeline.agent.providers.brew.provider import BrewProvider

__all__ = ["BrewProvider"]
