"""Use cases of the catalogue: take a package in, its artifact, list, show, withdraw, and what the next content has.

Invariants: a version never changes; nothing that nobody signed is kept; an artifact is kept only if a package names it,
byte for byte; every change is in the audit log. Nothing here reaches an endpoint.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from brakeline.catalog import decide, store
from brakeline.catalog.model import ENTRIES_MAX, PAYLOADS_BYTES_MAX, REASON_CHARS_MAX, OwnPackage, OwnPackageDetail
from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Invalid, NotFound
from brakeline.platform.database import Connection, Database
from brakeline.protocol.messages import Package, PendingUpdate
from brakeline.protocol.software import BadSoftware, Document, read, write
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal


class CatalogService:
    """See the module."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock

    async def add(self, principal: Principal, data: bytes) -> OwnPackage:
        """Take a signed package in. The same text again adds signatures that are new, and changes nothing else."""
        principal.require("policy.write")
        document = read(data)
        async with self._db.tenant(principal.tenant_id) as conn:
            known = await store.entries(conn)
            if wrong := decide.refusal(document, known):
                raise BadSoftware(wrong)
            made = decide.entry_of(document, self._clock.now_ms(), principal.name)
            before = next((e for e in known if (e.name, e.full_version) == (made.name, made.full_version)), None)
            if before is not None:
                return await self._sign_again(conn, principal, before, document)
            if len(known) >= ENTRIES_MAX:
                raise Conflict(f"there are {ENTRIES_MAX} versions of own packages; no more are taken in")
            await store.add(conn, principal.tenant_id, made, write(document).decode())
            said = {"version": made.full_version, "signed_by": list(made.signed_by), "artifact": made.artifact_sha256}
            await audit.append(conn, self._clock, principal, "software.add", made.name, None, said)
            return _named(await store.entries(conn), made.name, made.version)

    async def _sign_again(
        self, conn: Connection, principal: Principal, before: OwnPackage, document: Document
    ) -> OwnPackage:  # fmt: skip
        """More authors of the same text: signatures are added, and none is taken away."""
        kept = read((await store.document(conn, before.name, before.version) or "").encode())
        have = {(s.key, s.signature) for s in kept.signatures}
        genuine = set(decide.signers(document))
        more = tuple(
            s for s in document.signatures if s.key in genuine and (s.key, s.signature) not in have
        )  # fmt: skip
        if not more:
            return before
        joined = Document(kept.text, kept.software, kept.signatures + more)
        made = decide.entry_of(read(write(joined)), before.added_ms, before.added_by)
        await store.sign_again(conn, made, write(joined).decode())
        said = {"version": made.full_version, "signed_by": list(made.signed_by)}
        was = {"signed_by": list(before.signed_by)}
        await audit.append(conn, self._clock, principal, "software.sign", made.name, was, said)
        return _named(await store.entries(conn), made.name, made.version)

    async def add_payload(self, principal: Principal, data: bytes) -> tuple[OwnPackage, ...]:
        """Keep an artifact; the entries that it belongs to. One that no package names is refused."""
        principal.require("policy.write")
        sha256 = hashlib.sha256(data).hexdigest()
        async with self._db.tenant(principal.tenant_id) as conn:
            wanted = [e for e in await store.entries(conn) if e.artifact_sha256 == sha256 and not e.artifact_url]
            if not wanted or any(e.artifact_bytes != len(data) for e in wanted):
                raise Invalid(
                    f"no package names an artifact with the SHA-256 {sha256}: add the package first, and send exactly "
                    "the file that its authors have signed"
                )
            if not all(e.has_payload for e in wanted):
                if await store.payload_bytes(conn) + len(data) > PAYLOADS_BYTES_MAX:
                    raise Conflict(
                        f"all artifacts together would have more than {PAYLOADS_BYTES_MAX} bytes: give large ones a url"
                    )
                await store.keep_payload(conn, principal.tenant_id, sha256, data)
                said = {"sha256": sha256, "bytes": len(data)}
                await audit.append(conn, self._clock, principal, "software.payload", wanted[0].name, None, said)
            return tuple(e for e in await store.entries(conn) if e.artifact_sha256 == sha256)

    async def entries(self, principal: Principal) -> list[OwnPackage]:
        """Everything that was taken in, withdrawn versions too."""
        principal.require("endpoint.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.entries(conn)

    async def show(self, principal: Principal, name: str, version: str = "") -> OwnPackageDetail:
        """One version, by the author's number or the full one; without, the newest that stands."""
        principal.require("endpoint.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            known = await store.entries(conn)
            newest = decide.newest(known).get(name)
            entry = _named(known, name, version or (newest.version if newest else ""))
            document = read((await store.document(conn, entry.name, entry.version) or "").encode())
        scripts = {step: script.text for step, script in document.software.scripts.items()}
        return OwnPackageDetail(entry, document.text, scripts, decide.standing(entry))

    async def document(self, principal: Principal, name: str, version: str) -> bytes:
        """The signed bytes."""
        principal.require("endpoint.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.document(conn, name, version)
        if found is None:
            raise NotFound("no such own package", name=name[:60], version=version[:60])
        return found.encode()

    async def payload(self, principal: Principal, sha256: str) -> bytes:
        """An artifact that travels in content."""
        principal.require("endpoint.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.payload(conn, sha256)
        if found is None:
            raise NotFound("no such artifact", sha256=sha256[:64])
        return found

    async def withdraw(self, principal: Principal, name: str, version: str, reason: str) -> OwnPackage:
        """No further content and no new deployment has this version. What runs already, BRAKE stops."""
        principal.require("rollout.brake")
        why = reason.strip()
        if not why or len(why) > REASON_CHARS_MAX or not why.isprintable():
            raise Invalid(f"say why, in a line of at most {REASON_CHARS_MAX} characters: people will want to know")
        async with self._db.tenant(principal.tenant_id) as conn:
            entry = _named(await store.entries(conn), name, version)
            if entry.withdrawn_ms:
                return entry
            await store.withdraw(conn, name, entry.version, self._clock.now_ms(), principal.name, why)
            said = {"version": entry.full_version, "reason": why}
            await audit.append(conn, self._clock, principal, "software.withdraw", name, None, said)
            return _named(await store.entries(conn), name, entry.version)

    # --- for deployments ---

    async def known(self, tenant_id: str) -> list[OwnPackage]:
        """Everything of an organisation, for whoever plans for it."""
        async with self._db.tenant(tenant_id) as conn:
            return await store.entries(conn)

    @staticmethod
    def offered(
        entries: list[OwnPackage], pending: tuple[PendingUpdate, ...], packages: Iterable[Package],
        names: Iterable[str], platform: str,
    ) -> tuple[PendingUpdate, ...]:  # fmt: skip
        """What is pending on an endpoint, as the catalogue stands."""
        return decide.offered(entries, pending, tuple(packages), frozenset(names), platform)


def _named(entries: list[OwnPackage], name: str, version: str) -> OwnPackage:
    found = next((e for e in entries if e.name == name and version in (e.version, e.full_version)), None)
    if found is None:
        raise NotFound("no such own package", name=name[:60], version=version[:60])
    return found
