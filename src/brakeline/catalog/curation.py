"""Use cases of the curated catalogue: search, show, adopt. Nothing here reaches an endpoint, and nothing is fetched.

Invariants: a draft is made of a vendor's files that prove what the definition asks for, or not at all; what was seen
once is never taken for news again; every adoption is in the audit log.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from brakeline.catalog import decide, decide_catalogue, store, store_catalogue, tools
from brakeline.catalog.curated.adopting import adopt
from brakeline.catalog.curated.model import Adopted, Catalogue, NotVouched, Product, Vouching
from brakeline.catalog.model import Adoption, CatalogueDetail, CatalogueRow
from brakeline.core.clock import Clock
from brakeline.core.errors import NotFound
from brakeline.platform.database import Database
from brakeline.tenancy import audit
from brakeline.tenancy.model import Principal

UPLOAD_BYTES_MAX: Final = 512 * 1024 * 1024  # on disk, while it is looked at
AT_ONCE: Final = 2  # uploads


class CurationService:
    """See the module. `catalogue`: the edition that is in force; may read files."""

    def __init__(self, db: Database, clock: Clock, catalogue: Callable[[], Catalogue]) -> None:
        self._db, self._clock, self._catalogue = db, clock, catalogue
        self.places = asyncio.Semaphore(AT_ONCE)

    async def edition(self) -> Catalogue:
        """What is in force."""
        return await asyncio.to_thread(self._catalogue)

    async def search(self, principal: Principal, words: str = "") -> tuple[CatalogueRow, ...]:
        """Products of which every word is said; without words all."""
        principal.require("endpoint.read")
        catalogue = await self.edition()
        async with self._db.tenant(principal.tenant_id) as conn:
            adoptions, entries = await store_catalogue.adoptions(conn), await store.entries(conn)
        return decide_catalogue.rows(catalogue, words[:200], adoptions, entries)

    async def show(self, principal: Principal, name: str) -> CatalogueDetail:
        """One product, with what adopting it needs."""
        principal.require("endpoint.read")
        catalogue, product = await self._product(name)
        async with self._db.tenant(principal.tenant_id) as conn:
            adoptions = await store_catalogue.adoptions(conn, product.name)
            standing = decide.newest(await store.entries(conn))
        return decide_catalogue.detail(catalogue, product, adoptions, standing)

    async def adopt(
        self, principal: Principal, name: str, architecture: str, version: str, upload: IO[bytes]
    ) -> Adopted:  # fmt: skip
        """A draft of an own package, from the vendor's files in `upload` (a tar). Raises what is wrong with them."""
        principal.require("policy.write")
        _, product = await self._product(name)
        made = await asyncio.to_thread(self._looked, product, architecture, version, upload)
        now_ms = self._clock.now_ms()
        adoption = Adoption(made.product, made.architecture, made.version, made.sha256, made.url, made.vouched,
                            made.key, made.signed_ms, now_ms, principal.name)  # fmt: skip
        async with self._db.tenant(principal.tenant_id) as conn:
            before = await store_catalogue.adoptions(conn, product.name)
            one_index = product.trust.by is Vouching.RELEASE
            if old := decide_catalogue.replayed(made, before, newest_asked=not version, one_index=one_index):
                raise NotVouched(old)
            await store_catalogue.adopt(conn, principal.tenant_id, adoption)
            said = {"version": made.version, "architecture": made.architecture, "sha256": made.sha256, "key": made.key}
            await audit.append(conn, self._clock, principal, "software.adopt", made.product, None, said)
        return made

    def _looked(self, product: Product, architecture: str, version: str, upload: IO[bytes]) -> Adopted:
        """In a thread: the files lie in a directory of their own as long as they are looked at."""
        with tempfile.TemporaryDirectory(prefix="brakeline-adopt-") as place:
            files = tools.unpack(upload, Path(place), UPLOAD_BYTES_MAX)
            return adopt(product, architecture, version, files, self._clock.now_ms())

    async def _product(self, name: str) -> tuple[Catalogue, Product]:
        catalogue = await self.edition()
        found = catalogue.find(name)
        if found is None:
            raise NotFound("no such product in the curated catalogue", name=name[:60], edition=catalogue.edition)
        return catalogue, found
