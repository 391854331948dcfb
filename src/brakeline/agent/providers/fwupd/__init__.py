"""fwupd as a provider: firmware of devices, release by release, each by the checksum of its cabinet.

A device is known by its name and a digest of its GUIDs (`System-Firmware:fwupd-2f1c…`), so that one name is one stream
of releases on every endpoint. What was written and waits for a restart is told as that, never as running. No write is
ever cut off: the daemon, which does it, is not ours. Start reading at `provider`; `devices` and `words` are pure.
"""

from brakeline.agent.providers.fwupd.provider import FwupdProvider

__all__ = ["FwupdProvider"]
