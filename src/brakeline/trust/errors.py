"""Why a document is not believed: one exception inside `trust`, turned into a `Problem` value at its border."""

from __future__ import annotations

from brakeline.core.errors import Fault


class Distrust(Fault):
    """The document is not believed."""

    code = "distrust"

    def __init__(self, code: str, text: str) -> None:
        """`code` is stable: malformed too_large signature threshold expired rollback version_jump mismatch …"""
        super().__init__(text)
        self.reason = code
        self.text = text
