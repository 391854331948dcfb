"""Own packages as a provider: what an organisation's authors signed, installed by their scripts, seen by detection.

Packages come with content, so they are phased like code; a deployment names one full version, which is the artifact
and every letter of the scripts. Nothing runs that the authors named by root of this endpoint have not signed. Start
reading at `provider`; `planning` is pure, `staging` is what root keeps, `running` is one script.
"""

from brakeline.agent.providers.own.provider import OwnProvider

__all__ = ["OwnProvider"]
