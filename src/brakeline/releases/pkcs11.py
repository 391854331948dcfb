"""Ed25519 keys on PKCS#11 tokens, as a signer of securesystemslib (whose own knows ECDSA only, and endpoints do not).

`pkcs11:token=NAME;object=NAME?module-path=/usr/lib/…/module.so` names a key (RFC 7512). The PIN is asked for at each
signature and kept nowhere. Needs the package pykcs11, which the server does not: whoever signs with a token has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qs, unquote

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, SecretsHandler, Signature, Signer, SSlibKey

from brakeline.releases.faults import KeyUnusable

SCHEME: Final = "pkcs11"
ED25519_OID: Final = bytes.fromhex("06032b6570")
PIN: Final = "PIN of the token"


class Pkcs11Signer(Signer):
    """One private key on one token."""

    def __init__(self, uri: str, public_key: SSlibKey, pin: SecretsHandler) -> None:
        self._uri, self._public, self._pin = uri, public_key, pin

    @property
    def public_key(self) -> Key:
        return self._public

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: Key, secrets_handler: SecretsHandler | None = None
    ) -> Pkcs11Signer:
        """For `Signer.from_priv_key_uri`."""
        if not isinstance(public_key, SSlibKey) or secrets_handler is None:
            raise ValueError("a PKCS#11 signer needs an Ed25519 public key and somebody to ask for the PIN")
        return cls(priv_key_uri, public_key, secrets_handler)

    def sign(self, payload: bytes) -> Signature:
        """Raises `KeyUnusable` when token, PIN or key are not there, or the key is another one."""
        with _session(self._uri, self._pin) as (p, session, label):
            found = session.findObjects([(p.CKA_CLASS, p.CKO_PRIVATE_KEY), (p.CKA_LABEL, label)])
            if len(found) != 1:
                raise KeyUnusable(f"the token has {len(found)} private keys called {label!r}, one is needed")
            raw = bytes(session.sign(found[0], payload, p.Mechanism(p.CKM_EDDSA, None)))
        signature = Signature(self._public.keyid, raw.hex())
        try:
            self._public.verify_signature(signature, payload)
        except UnverifiedSignatureError as e:
            raise KeyUnusable(f"the key {label!r} of the token is not the one that was meant: {e}") from None
        return signature


def generate(uri: str, pin: SecretsHandler) -> str:
    """Make a key pair on the token that never leaves it; the public key in hex."""
    with _session(uri, pin, write=True) as (p, session, label):
        if session.findObjects([(p.CKA_CLASS, p.CKO_PRIVATE_KEY), (p.CKA_LABEL, label)]):
            raise KeyUnusable(f"the token has a key called {label!r} already; choose another name")
        common = [(p.CKA_TOKEN, p.CK_TRUE), (p.CKA_LABEL, label), (p.CKA_KEY_TYPE, p.CKK_EC_EDWARDS)]
        public = [(p.CKA_CLASS, p.CKO_PUBLIC_KEY), (p.CKA_VERIFY, p.CK_TRUE), (p.CKA_EC_PARAMS, ED25519_OID), *common]
        private = [
            (p.CKA_CLASS, p.CKO_PRIVATE_KEY), (p.CKA_PRIVATE, p.CK_TRUE), (p.CKA_SENSITIVE, p.CK_TRUE),
            (p.CKA_EXTRACTABLE, p.CK_FALSE), (p.CKA_SIGN, p.CK_TRUE), *common,
        ]  # fmt: skip
        mechanism = p.Mechanism(p.CKM_EC_EDWARDS_KEY_PAIR_GEN, None)
        made, _ = session.generateKeyPair(public, private, mechanism)
        point = bytes(session.getAttributeValue(made, [p.CKA_EC_POINT])[0])
        return point[-32:].hex()


def parts_of(uri: str) -> tuple[str, str, str]:
    """(token, object, path of the module). Raises `KeyUnusable`."""
    scheme, _, rest = uri.partition(":")
    path, _, query = rest.partition("?")
    named = dict(part.partition("=")[::2] for part in path.split(";"))
    module = parse_qs(query).get("module-path", [""])[0]
    if scheme != SCHEME or not named.get("token") or not named.get("object") or not module:
        raise KeyUnusable(f"{uri[:80]!r} is not pkcs11:token=NAME;object=NAME?module-path=/path/of/module.so")
    return unquote(named["token"]), unquote(named["object"]), module


@contextmanager
def _session(uri: str, pin: SecretsHandler, *, write: bool = False) -> Iterator[tuple[Any, Any, str]]:
    """(the library, an open session, label of the key)."""
    token, label, module = parts_of(uri)
    try:
        import PyKCS11 as p  # noqa: N813 - of those alone who sign with a token
    except ImportError:
        raise KeyUnusable("keys on PKCS#11 tokens need the package pykcs11 beside brakeline") from None
    library = p.PyKCS11Lib()
    try:
        library.load(module)
        slots = [s for s in library.getSlotList(tokenPresent=True) if library.getTokenInfo(s).label.strip() == token]
        if len(slots) != 1:
            raise KeyUnusable(f"{len(slots)} tokens called {token!r} are here, one is needed")
        session = library.openSession(slots[0], p.CKF_SERIAL_SESSION | (p.CKF_RW_SESSION if write else 0))
        try:
            session.login(pin(PIN))
            yield p, session, label
        finally:
            session.closeSession()
    except p.PyKCS11Error as e:
        raise KeyUnusable(f"the token {token!r} refuses: {e}") from None
