"""macOS: what Apple's softwareupdate and pkgutil print, read, and a provider over softwareupdate. *Not run on macOS.*

Tried on output that was built after published forms and on a stand-in: `docs/reference/providers.md` says so. No agent
runs on a Mac yet, so `detect` makes no such provider. Start reading at `provider`; `softwareupdate`, `naming` are pure.
"""
