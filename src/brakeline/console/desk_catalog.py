"""Own packages and scripts, and the curated catalogue: over `catalog`."""

from __future__ import annotations

from brakeline.console.desk_base import DeskBase
from brakeline.console.present_catalog import package_view, packages_view
from brakeline.console.present_curated import catalogue_view, product_view
from brakeline.console.screens import Visitor
from brakeline.console.views_catalog import PackagesView, PackageView
from brakeline.console.views_curated import CatalogueView, ProductView


class DeskCatalog(DeskBase):
    """See the module."""

    async def packages(self, who: Visitor) -> PackagesView:
        return packages_view(await self.s.catalog.entries(who.principal), self.s.clock.now_ms())

    async def package(self, who: Visitor, name: str, version: str) -> PackageView:
        return package_view(await self.s.catalog.show(who.principal, name, version), self.s.clock.now_ms())

    async def catalogue(self, who: Visitor, query: str) -> CatalogueView:
        rows = await self.s.curation.search(who.principal, query)
        return catalogue_view(await self.s.curation.edition(), rows, query)

    async def product(self, who: Visitor, name: str) -> ProductView:
        return product_view(await self.s.curation.show(who.principal, name), self.s.clock.now_ms())
