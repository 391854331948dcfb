"""Own packages and scripts: over `catalog`."""

from __future__ import annotations

from brakeline.console.desk_base import DeskBase
from brakeline.console.present_catalog import package_view, packages_view
from brakeline.console.screens import Visitor
from brakeline.console.views_catalog import PackagesView, PackageView


class DeskCatalog(DeskBase):
    """See the module."""

    async def packages(self, who: Visitor) -> PackagesView:
        return packages_view(await self.s.catalog.entries(who.principal), self.s.clock.now_ms())

    async def package(self, who: Visitor, name: str, version: str) -> PackageView:
        return package_view(await self.s.catalog.show(who.principal, name, version), self.s.clock.now_ms())
