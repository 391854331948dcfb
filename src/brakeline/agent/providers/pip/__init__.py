"""pip as a provider: the environments of `pipx --global` are changed, the system's own Python is only looked at.

An environment is one application's; its label (`pypi-black`) is the architecture of its packages. What lies beside the
system's Python packages (`pypi`) is the distribution's to allow (PEP 668), and is told, never changed. Start reading at
`provider`; `report` and `reasons` are pure.
"""

from brakeline.agent.providers.pip.provider import PipProvider

__all__ = ["PipProvider"]
