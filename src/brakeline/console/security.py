"""What every answer of the console carries, and what a form must bring along.

Invariants: no inline script and no inline style anywhere (the policy has no 'unsafe-inline', so a `style=` in a
template would not work, and a browser test counts violations); a request that changes something needs our own
Origin *and* the session's form token, beside the session cookie's SameSite=Lax.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from brakeline.core.errors import Forbidden

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

# Referrer-Policy is not `no-referrer`: that would make browsers send `Origin: null` with our own forms.
PAGE_HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}


class ForgedForm(Forbidden):
    """This form did not come from a page of this console."""

    code = "forged-form"
    hint = "Open the page again and press once more; nothing was changed."


def require_own_origin(headers: Mapping[str, str]) -> None:
    """Refuse a changing request that another site made. Raises ForgedForm.

    Browsers send Origin with every POST; where it is missing (old browsers, curl with a cookie) Sec-Fetch-Site
    decides, and with neither the form token alone does.
    """
    origin = headers.get("origin")
    if origin is not None:
        if urlsplit(origin).netloc.lower() != headers.get("host", "").lower():
            raise ForgedForm("its origin is another site", origin=origin)
    elif headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForgedForm("the browser says that another site sent it")


def require_form_token(given: str, expected: str) -> None:
    """Compare in constant time. Raises ForgedForm; an empty expectation never passes."""
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise ForgedForm("its form token is missing or from another session")
