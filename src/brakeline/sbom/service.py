"""Use cases of bills of materials: write one, take one in, judge it, take in what VEX says and withdraw it.

Invariants: a bill is written from what is committed; a statement is taken in by a person (a token cannot answer for
it), stands until a person withdraws it, and never removes a finding; both are in the audit log.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from brakeline import __version__
from brakeline.advisories.vendors.checking import Checking, NoSuchWindows
from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Forbidden, Invalid, NotFound
from brakeline.exposure.model import Finding, NotAssessed
from brakeline.exposure.service import ExposureService, release_of
from brakeline.fleet.service import FleetService
from brakeline.platform.clock import IdMaker
from brakeline.platform.database import Database
from brakeline.sbom import cyclonedx, decide, reading, spdx, spdx3, spdx3_vex, store, vex
from brakeline.sbom.model import (
    COMPONENTS_MAX,
    GROUP_ENDPOINTS_MAX,
    Asset,
    BadBill,
    Bill,
    Component,
    Format,
    Kind,
    Said,
    Statement,
    VexDocument,
    VexFormat,
)
from brakeline.sbom.texts import text
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

NAME_CHARS_MAX = 200
ASSETS_MAX = 2_000
WRITERS: Final = {Format.CYCLONEDX: cyclonedx.write, Format.SPDX: spdx.write, Format.SPDX3: spdx3.write}
VEX_WRITERS: Final = {VexFormat.OPENVEX: vex.write, VexFormat.SPDX3: spdx3_vex.write}


@dataclass(frozen=True, slots=True)
class AssetFinding:
    """A finding of an asset, and what a VEX file says of it (None = nothing)."""

    finding: Finding
    purl: str
    said: Said | None


@dataclass(frozen=True, slots=True)
class AssetDetail:
    """An asset with everything that is known of it. `not_affected` counts findings that a statement speaks against."""

    asset: Asset
    findings: tuple[AssetFinding, ...]
    not_assessed: tuple[NotAssessed, ...]
    components: tuple[Component, ...]
    open: int
    not_affected: int
    limits: tuple[str, ...]


class SbomService:
    """See the module."""

    def __init__(
        self, db: Database, clock: Clock, ids: IdMaker, fleet: FleetService, exposure: ExposureService
    ) -> None:
        self._db, self._clock, self._ids, self._fleet, self._exposure = db, clock, ids, fleet, exposure
        self._checking = Checking(db)

    # --- out -------------------------------------------------------------------------------------------------------

    async def of_endpoint(
        self, principal: Principal, endpoint_id: str, form: Format, *, with_vex: bool = False
    ) -> dict[str, Any]:
        """The bill of one endpoint; with what stands open, if it is asked for and the form has a place for it."""
        if with_vex and form is Format.SPDX:
            raise Invalid("SPDX 2.3 has no place for VEX: take cyclonedx or spdx3, or the endpoint's VEX by itself")
        bill = await self._bill(principal, endpoint_id, with_vex=with_vex)
        return await asyncio.to_thread(write, bill, form)

    async def of_group(self, principal: Principal, query: str, form: Format) -> dict[str, Any]:
        """One bill of all endpoints that match: each component once, with how many have it."""
        principal.require("endpoint.read")
        ids = await self._fleet.matching(principal.tenant_id, query)
        if not ids:
            raise NotFound("no endpoint matches", q=query[:80])
        if len(ids) > GROUP_ENDPOINTS_MAX:
            raise Invalid(f"{len(ids)} endpoints match; a bill is of at most {GROUP_ENDPOINTS_MAX}: narrow the filter")
        bills = [await self._bill(principal, endpoint_id) for endpoint_id in ids]
        made = decide.merged(bills, query.strip() or "the whole fleet", max(b.made_ms for b in bills))
        if len(made.components) > COMPONENTS_MAX:
            raise Invalid(f"that is more than {COMPONENTS_MAX} components: narrow the filter")
        return await asyncio.to_thread(write, made, form)

    async def vex_of_endpoint(
        self, principal: Principal, endpoint_id: str, form: VexFormat = VexFormat.OPENVEX
    ) -> dict[str, Any]:
        """What is known of the vulnerabilities of one endpoint."""
        bill = await self._bill(principal, endpoint_id, with_vex=True)
        return VEX_WRITERS[form](bill.subject, bill.mentions, bill.made_ms, __version__)

    async def _bill(self, principal: Principal, endpoint_id: str, *, with_vex: bool = False) -> Bill:
        detail = await self._fleet.get_endpoint(principal, endpoint_id)
        packages = await self._fleet.packages(principal, endpoint_id)
        components = decide.components_of(packages, release_of(detail))
        s = detail.summary
        findings = await self._exposure.findings(principal, endpoint_id) if with_vex else None
        bill = Bill(
            s.hostname or endpoint_id, f"{s.os_id} {s.os_version}", s.inventory_ms or s.enrolled_ms, components,
            decide.gaps_of(detail, findings),
        )  # fmt: skip
        if findings is None:
            return bill
        stated = await self.standing(principal, {f.finding.cve for f in findings.findings})
        return replace(bill, mentions=decide.mentions_of(findings, components, stated))

    # --- in --------------------------------------------------------------------------------------------------------

    async def take_bill(
        self, principal: Principal, data: bytes, *, name: str = "", kind: Kind = Kind.IMAGE, file_name: str = ""
    ) -> Asset:
        """Take in a bill. The same name again replaces what was known of it; the same bill again changes nothing."""
        principal.require("endpoint.manage")
        read = await asyncio.to_thread(reading.read, data)
        called = text(name, NAME_CHARS_MAX) or text(read.subject, NAME_CHARS_MAX)
        if not called:
            raise BadBill("it does not say what it describes: give it a name")
        made = Asset(
            self._ids.new("as"), called, kind, read.version, read.format, text(file_name, NAME_CHARS_MAX),
            hashlib.sha256(data).hexdigest(), read.serial, read.made, self._clock.now_ms(), principal.name,
            len(read.components), read.left_out, read.more_left_out,
        )  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            before = await store.asset_named(conn, called)
            if before is not None and (before.sha256, before.kind) == (made.sha256, kind):
                return before
            if before is not None:
                made = replace(made, asset_id=before.asset_id)
                await store.drop_asset(conn, before.asset_id)
            elif len(await store.assets(conn)) >= ASSETS_MAX:
                raise Conflict(f"there are {ASSETS_MAX} assets: forget some first")
            await store.add_asset(conn, principal.tenant_id, made, read.components)
            was = {"sha256": before.sha256} if before else None
            said = {"name": called, "sha256": made.sha256, "components": made.components}
            await audit.append(conn, self._clock, principal, "asset.import", made.asset_id, was, said)
        return made

    async def assets(self, principal: Principal) -> list[Asset]:
        """Everything whose bill was taken in, by name."""
        principal.require("endpoint.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.assets(conn)

    async def asset(self, principal: Principal, asset_id: str) -> AssetDetail:
        """One asset, judged by the advisories that are live now."""
        principal.require("exposure.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.asset(conn, asset_id)
            if found is None:
                raise NotFound("no such asset", id=asset_id[:40])
            components = await store.components(conn, asset_id)
        book = await self._exposure.book()
        known = await self._exposure.knowledge()
        findings, missing = await asyncio.to_thread(decide.assessed, components, book)
        of_system, unknown = await self._windows(principal, components, book.kev)
        findings, missing = of_system + findings, unknown + missing
        stated = await self.standing(principal, {f.cve for f, _ in findings})
        rows = tuple(AssetFinding(f, url, decide.said_of(f.cve, url, stated)) for f, url in findings)
        against = sum(row.said is not None and row.said.status in ("not_affected", "fixed") for row in rows)
        return AssetDetail(found, rows, missing, tuple(components), len(rows) - against, against, known.limits)

    async def _windows(
        self, principal: Principal, components: Sequence[Component], kev: frozenset[str]
    ) -> tuple[list[tuple[Finding, str]], tuple[NotAssessed, ...]]:
        """What stands open for a recorded Windows, or why that is not known."""
        found = decide.windows_of(components)
        if found is None:
            return [], ()
        system, kbs = found
        try:
            checked = await self._checking.windows(principal, system.name, system.version, kbs)
        except (NoSuchWindows, Invalid) as e:
            code = "no_data" if isinstance(e, NoSuchWindows) else "bad_version"
            return [], (NotAssessed(system.name, system.version, code, str(e)),)
        return decide.windows_findings(system, checked.open, kev), ()

    async def forget_asset(self, principal: Principal, asset_id: str) -> None:
        """Drop an asset and its components."""
        principal.require("endpoint.manage")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.asset(conn, asset_id)
            if found is None or not await store.drop_asset(conn, asset_id):
                raise NotFound("no such asset", id=asset_id[:40])
            await audit.append(conn, self._clock, principal, "asset.forget", asset_id, {"name": found.name}, None)

    # --- VEX -------------------------------------------------------------------------------------------------------

    async def take_vex(self, principal: Principal, data: bytes, *, reason: str, file_name: str = "") -> VexDocument:
        """Take in what a file says, as the person who answers for it. Taken again after it was withdrawn, it stands."""
        _by_person(principal)
        why = text(reason)
        if not why:
            raise Invalid("say why this file is to be believed: whoever looks next wants to know")
        read = await asyncio.to_thread(vex.read, data)
        sha256 = hashlib.sha256(data).hexdigest()
        made = VexDocument(
            sha256, text(file_name, NAME_CHARS_MAX), read.format, read.author, read.issued,
            len(read.statements), self._clock.now_ms(), principal.name, why,
        )  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            before = await store.document(conn, sha256)
            if before is not None and not before.withdrawn_ms:
                return before
            if before is not None:
                await store.restate(conn, sha256, made.taken_ms, principal.name, why)
            else:
                await store.add_document(conn, principal.tenant_id, made, read.statements)
            said = {"file": made.file_name, "author": made.author, "statements": made.statements, "reason": why}
            await audit.append(conn, self._clock, principal, "vex.import", sha256, None, said)
        return made

    async def vex_documents(self, principal: Principal) -> list[VexDocument]:
        """Every file that was taken in, withdrawn ones too, the newest first."""
        principal.require("exposure.read")
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.documents(conn)

    async def withdraw_vex(self, principal: Principal, sha256: str) -> None:
        """What the file says no longer stands. It only takes back, so whoever may write policies may do it."""
        principal.require("policy.write")
        async with self._db.tenant(principal.tenant_id) as conn:
            found = await store.document(conn, sha256)
            if found is None or found.withdrawn_ms:
                raise NotFound("no such VEX file stands", sha256=sha256[:64])
            await store.withdraw(conn, sha256, self._clock.now_ms(), principal.name)
            await audit.append(conn, self._clock, principal, "vex.withdraw", sha256, {"file": found.file_name}, None)

    async def standing(
        self, principal: Principal, vulnerabilities: Sequence[str] | set[str]
    ) -> list[tuple[Statement, VexDocument]]:
        """Statements about these vulnerabilities that stand, the newest file first."""
        principal.require("exposure.read")
        if not vulnerabilities:
            return []
        async with self._db.tenant(principal.tenant_id) as conn:
            return await store.standing(conn, sorted(vulnerabilities))


def write(bill: Bill, form: Format) -> dict[str, Any]:
    """A bill in one of the forms."""
    return WRITERS[form](bill, __version__)


def _by_person(principal: Principal) -> None:
    principal.require("policy.write")
    if principal.kind != "person":
        raise Forbidden(
            "a person answers for what a VEX file says, a token cannot: sign in (the command asks for your password)"
        )
