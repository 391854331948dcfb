"""snapd as a provider, over its socket: snaps, revision by revision. *Not run on the real system.*

A version is the vendor's word and the revision, which alone is exact. The way back is the former revision, which snapd
keeps. An update is named `firefox:snap`. Start reading at `provider`; `answers` is pure.
"""

from brakeline.agent.providers.snap.provider import SnapProvider

__all__ = ["SnapProvider"]
