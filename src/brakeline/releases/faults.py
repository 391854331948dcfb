"""What can be wrong with a release or its keys: each says what, why and what to do."""

from __future__ import annotations

from brakeline.core.errors import Conflict, Fault, Invalid


class BadBundle(Invalid):
    """This is not a release that endpoints could run."""

    code = "bad-bundle"
    hint = "Build it with `brakeline release build` and send the file that it made, unchanged."


class BundleTooLarge(Fault):
    """The bundle is larger than endpoints accept."""

    code, status = "bundle-too-large", 413
    hint = "Leave out what an agent does not need; endpoints refuse more, whoever signs it."


class OtherHash(Conflict):
    """This version was published already, with other bytes."""

    code = "version-taken"
    hint = "A version names one content for ever: build the change as a new version with a higher sequence."


class Downgrade(Conflict):
    """The release is older than the newest one of this product."""

    code = "downgrade"
    hint = "Endpoints never download an older release. Build it anew with a higher sequence, also when it goes back."


class Quarantined(Conflict):
    """This version was recalled or withdrawn, and is not offered again."""

    code = "quarantined"
    hint = "Publish a new version; or, for a mistaken recall, `brakeline release pardon` (a second person agrees)."


class NotSigned(Fault):
    """Those who hold the keys have not signed this."""

    code, status = "not-signed", 409
    hint = (
        "See docs/how-to/release-keys.md: `brakeline release stage`, let the holders sign, `brakeline release import`."
    )


class BadMetadata(Invalid):
    """The signed document is not usable here."""

    code = "bad-metadata"
    hint = "Stage and sign again from what is published now: `brakeline release stage` or `rotate`."


class RepositoryBroken(Fault):
    """The release repository of this cell cannot be used."""

    code, status = "release-repository-broken", 503
    hint = "Restore DATA/trust from the backup. Endpoints run on; nothing new is offered to them meanwhile."


class KeyUnusable(Fault):
    """A signing key cannot be used."""

    code, status = "release-key-unusable", 422


class CeremonyBroken(Invalid):
    """This directory does not hold documents that can be signed."""

    code = "ceremony-broken"
    hint = "Make it anew: `brakeline release stage` or `brakeline release rotate`, with --out DIR."


class BadAttestation(Invalid):
    """Nobody who counts vouches for what this file was built from."""

    code = "bad-attestation"
    hint = "Take the .intoto.dsse.json that came with this very file; holders sign with `brakeline release attest`."
