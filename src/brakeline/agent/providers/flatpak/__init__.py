"""flatpak as a provider: applications and runtimes of the system-wide installation, commit by commit.

A version is a commit of the remote: when it was made, and the first half of its digest. So a plan is exact by nature,
and the way back is the former commit, which is kept in the local repository beforehand. An update is named
`org.example.App:flatpak-x86_64-stable`. Start reading at `provider`; `refs` is pure.
"""

from brakeline.agent.providers.flatpak.provider import FlatpakProvider

__all__ = ["FlatpakProvider"]
