"""Templates to text. StrictUndefined and autoescape: a hole in a view-model is an error, not a blank.

`Renderer.page` renders a whole page, `Renderer.fragment` only the named live regions of it, from the same template
macros, so what a stream sends and what a reload shows cannot differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from brakeline.console.assets import Asset
from brakeline.console.charts import excess_chart
from brakeline.console.trend_charts import day_chart
from brakeline.console.views import Shell

# One payload line per region: htmx replaces the children of `target` by morphing, so nodes keep focus and presses.
PARTIAL = '<hx-partial hx-target="#{target}" hx-swap="innerMorph">{html}</hx-partial>'
_SEPARATOR = re.compile(r"[-+~:](?=\w)")


class Renderer:
    """Owns the Jinja environment. `assets` gives static addresses their content digest."""

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._assets = assets
        self.environment = Environment(
            loader=FunctionLoader(_source), undefined=StrictUndefined, autoescape=True, trim_blocks=True,
            lstrip_blocks=True, extensions=["jinja2.ext.do"],
        )  # fmt: skip
        self.environment.globals.update(
            static=self._static, excess_chart=excess_chart, day_chart=day_chart, version=version
        )
        self.environment.filters["n"] = number

    def page(self, name: str, view: Any, shell: Shell) -> str:
        """The whole page `templates/pages/<name>.html` for `view`."""
        return self.environment.get_template(f"pages/{name}.html").render(view=view, shell=shell)

    def regions(self, name: str, view: Any) -> dict[str, str]:
        """The live regions of page `name`: element id -> inner HTML. Nothing in them depends on the session."""
        module = self.environment.get_template(f"live/{name}.html").make_module({"view": view})
        names: tuple[str, ...] = tuple(module.REGIONS)  # type: ignore[attr-defined]
        return {region: str(getattr(module, region)(view)) for region in names}

    def message(self, name: str, view: Any, frozen: str = "") -> str:
        """The live regions as one event of the stream, and the banner that every page has."""
        found = self.regions(name, view)
        banner = self.environment.get_template("fragments/freeze_banner.html")
        found["freeze_banner"] = banner.render(told=frozen)
        return "".join(PARTIAL.format(target=region, html=html) for region, html in found.items())

    def _static(self, name: str) -> str:
        return f"/static/{name}?v={self._assets[name].tag}"


def number(value: int | None) -> str:
    """`1,204`; a number that is not known is said to be so."""
    return "?" if value is None else f"{value:,}"


def version(text: str) -> Markup:
    """A version that a narrow screen may break only behind one of its own separators, and a wide one not at all."""
    parts = _SEPARATOR.sub(r"\g<0>\n", text).split("\n")
    return Markup('<span class="version">{}</span>').format(Markup("<wbr>").join(parts))


def _source(name: str) -> str | None:
    found = resources.files("brakeline.console") / "templates" / name
    return found.read_text(encoding="utf-8") if found.is_file() else None
