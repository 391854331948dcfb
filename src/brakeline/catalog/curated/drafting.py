"""From a definition and what was found to the draft of an own package, complete where it can be. Pure.

What is left to a person is named, and `brakeline software check` refuses the draft until it is said.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from brakeline.catalog.curated.model import Product, Vouching
from brakeline.catalog.discovery.model import Found
from brakeline.protocol.codec import to_sparse
from brakeline.protocol.software import BadSoftware, Script, read_package
from brakeline.protocol.software_rules import problem

UNKNOWN: Final = 0  # bytes that nobody has said
# Authenticode is looked at where it can be: on Windows, before the installer is started. Of the certificate's subject
# each part is walked over in its order, so that neither a longer name nor a quoted value passes for the organisation.
SUBJECT: Final = r'^(?:[^=,"]+=(?:"(?:[^"]|"")*"|[^",]*), )*O=(?:{plain}|"{quoted}")(?:, |$)'
PUBLISHER: Final = """$signed = Get-AuthenticodeSignature -LiteralPath $env:BRAKELINE_ARTIFACT
if ($signed.Status -ne 'Valid') { Write-Output "The signature is $($signed.Status)."; exit 1 }
$who = $signed.SignerCertificate.Subject
if ($who -cnotmatch '{subject}') {
  Write-Output "Signed by $who, and not by" '{publisher}'; exit 1
}
"""
_QUOTES: Final = re.compile("['\u2018\u2019\u201a\u201b]")  # each ends a text of PowerShell, unless doubled


def draft(product: Product, found: Found, file: str) -> tuple[str, tuple[str, ...]]:
    """(the package's text, what a person has yet to say)."""
    plain: dict[str, Any] = {
        "name": product.package, "version": found.version, "title": product.title, "vendor": product.vendor,
        "platforms": [product.platform], "detection": to_sparse(product.detection),
        "artifact": {"file": file, "bytes": found.bytes, "sha256": found.sha256, "url": found.url},
        "install": _script(product.install), "uninstall": _script(product.uninstall),
    }  # fmt: skip
    if (pre := before(product)) is not None:
        plain["pre"] = _script(pre)
    if product.post is not None:
        plain["post"] = _script(product.post)
    text = json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
    return text, tuple(_left(text, found))


def before(product: Product) -> Script | None:
    """What runs before the installer: of Windows' installers, a look at who has signed them."""
    if product.trust.by is Vouching.PUBLISHER:
        return Script("powershell", _signed_by(product.trust.publisher), 120)
    return product.pre


def subject_of(publisher: str) -> str:
    """What the whole subject of a publisher's certificate looks like."""
    quoted = re.escape(publisher.replace('"', '""'))
    return SUBJECT.replace("{plain}", re.escape(publisher)).replace("{quoted}", quoted)


def _signed_by(publisher: str) -> str:
    subject, name = (_QUOTES.sub(r"\g<0>\g<0>", text) for text in (subject_of(publisher), publisher))
    return PUBLISHER.replace("{subject}", subject).replace("{publisher}", name)


def _script(script: Script) -> dict[str, Any]:
    plain: dict[str, Any] = to_sparse(script)
    return plain


def _left(text: str, found: Found) -> list[str]:
    left = []
    if found.bytes == UNKNOWN:
        left.append("artifact.bytes: the vendor does not say how large the file is; hand the file in, or fill it in")
    try:
        wrong = "" if left else problem(read_package(text.encode()))
    except BadSoftware as e:
        wrong = e.detail
    return [*left, *([wrong] if wrong else [])]
