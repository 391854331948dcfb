"""Images and appliances by their bills of materials, and VEX files: over `sbom`."""

from __future__ import annotations

from brakeline.console.desk_base import DeskBase
from brakeline.console.present_sbom import asset_view, assets_view
from brakeline.console.screens import Visitor
from brakeline.console.views_sbom import AssetsView, AssetView


class DeskSbom(DeskBase):
    """See the module."""

    async def assets(self, who: Visitor) -> AssetsView:
        found = await self.s.sbom.assets(who.principal)
        return assets_view(found, await self.s.sbom.vex_documents(who.principal), self.s.clock.now_ms())

    async def asset(self, who: Visitor, asset_id: str) -> AssetView:
        return asset_view(await self.s.sbom.asset(who.principal, asset_id), self.s.clock.now_ms())
