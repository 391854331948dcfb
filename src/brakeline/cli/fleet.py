"""`brakeline fleet`: the fleet as a whole."""

from __future__ import annotations

from brakeline.cli.client import Client
from brakeline.cli.output import Json, emit, noun, say, talk

app = noun("The fleet as a whole.")


@app.command("shape")
def shape(as_json: Json = False) -> None:
    """How many endpoints of which kind there are, and when they are there. Counts alone; for `drill replay --shape`."""
    found = Client.from_context().get("/fleet/shape")

    def human() -> None:
        kinds = (("regions", "regions"), ("os", "systems"), ("tags", "tags"))
        known = ", ".join(f"{len(found[key])} {word}" for key, word in kinds)
        say(f"{found['endpoints']:,} active endpoints: {known}; working day of UTC{found['zone_h']:+g} h.")
        for sentence in found["sentences"]:
            say(sentence)
        talk("brakeline fleet shape --json > shape.json; brakeline drill replay INCIDENTS --shape shape.json")

    emit(found, as_json, human)
