"""Samples of the page of cells and leads."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from brakeline.cells.model import MemberState
from brakeline.console.present_cells import DOUBTED, MEMBERS, STATES
from brakeline.console.views import Fact, Tone
from brakeline.console.views_cells import CellsView, LeadCard, LeadCell, MemberRow, OrphanRow

BERLIN = MemberRow(
    "berlin-1", "eu", MEMBERS[MemberState.JOINED], "2 s ago", "+0.1 s", "0.1.0", "", ("drain", "isolate")
)
DALLAS = MemberRow("dallas-1", "us", MEMBERS[MemberState.DRAINED], "3 h ago", "-0.4 s", "0.1.0", "",
                   ("restore", "isolate"))  # fmt: skip
OSLO = MemberRow(
    "oslo-1", "eu", DOUBTED, "1 s ago", "+0.0 s", "0.1.0", "it treated 20 endpoints, and now 3",
    ("restore", "drain", "isolate"),
)  # fmt: skip
GOING = LeadCard(
    "ld_01", "libssl3 3.0.17", STATES["rolling"],
    "rolling: ring early; ring early: waiting for bake time: 3 h 12 of 26 h 00 left", "libssl3=3.0.17-1~deb12u2",
    ("canary", "▸ early"),
    (
        LeadCell("berlin-1", "eu", STATES["rolling"], ("50", "500"), 500, 498, 0, "cell berlin-1: has passed ring 2"),
        LeadCell("dallas-1", "us", STATES["holding"], ("50", "500"), 61, 50, 0,
                 "cell dallas-1: not heard for 4 min; it holds when its grant ends"),
    ), may_brake=True, whom="os:debian", acts=("pause",),
)  # fmt: skip
HALTED = LeadCard(
    "ld_00", "linux-image 6.1.9", STATES["halted"], "halted in cell berlin-1 (evidence); its own page says why",
    "linux-image-amd64=6.1.9-1", ("canary",),
    (LeadCell("berlin-1", "eu", STATES["halted"], ("100",), 8, 0, 2, "cell berlin-1: halted (evidence)"),),
)  # fmt: skip
SETTINGS = LeadCard(
    "ld_04", "Settings nights", STATES["rolling"],
    "waits for cell oslo-1: takes no part: with its own windows some endpoints would have no minute left; its own page "
    "names the policy", "brakeline-settings=0d61c8ab13f0", ("▸ canary",),
    (
        LeadCell("berlin-1", "eu", STATES["rolling"], ("50",), 50, 49, 0,
                 "cell berlin-1: has passed ring 1: 50 of 50 treated"),
        LeadCell("dallas-1", "us", STATES["refused"], ("0",), 0, 0, 0,
                 "cell dallas-1: its version takes no settings from a conductor; update it, or drain it"),
        LeadCell("oslo-1", "eu", STATES["refused"], ("",), 0, 0, 0,
                 "cell oslo-1: takes no part: with its own windows some endpoints would have no minute left; its own "
                 "page names the policy"),
    ), may_brake=True,
    settings=("maintenance windows: mon-fri 22:00/05:00", "changed configuration files: hold",
              "nice of package transactions: 10"),
    whom="os:debian tag:db",
)  # fmt: skip
LINK = (Fact("Conductor", "https://berlin.example:8443"), Fact("Known there as", "dallas-1"),
        Fact("Trouble", "berlin.example does not answer", Tone.WARN))  # fmt: skip

PAUSED = replace(GOING, id="ld_05", title="curl 8.9", state=STATES["holding"], why="paused by Olga: moving house",
                 acts=("resume",))  # fmt: skip
DRAFTED = LeadCard(
    "ld_06", "Settings often", STATES["draft"], "drafted", "brakeline-settings=1f0c", ("50",),
    (LeadCell("berlin-1", "eu", STATES["draft"], ("",), 0, 0, 0, "cell berlin-1: 412 endpoints, none of them in a ring "
              "yet"),), may_brake=True, settings=("package lists are refreshed every: 1 h",), whom="every endpoint",
    acts=("start",),
)  # fmt: skip

CELLS: Final = {
    "conductor": CellsView(
        (BERLIN, DALLAS, OSLO),
        (SETTINGS, GOING, HALTED),
        LINK,
        may_write=True,
        may_lead=True,
        lead_updates="/rollouts/new?where=cells&cell=berlin-1&cell=oslo-1",
    ),
    "leads": CellsView((BERLIN, DALLAS), (DRAFTED, PAUSED), LINK, may_write=True, may_lead=True),
    "alone": CellsView((), (), may_write=True),
    "handed-over": CellsView(
        (BERLIN,),
        (),
        LINK,
        may_write=True,
        superseded="this cell no longer leads: cell oslo-1 believes https://dallas.example:8443 (generation 1; here it "
        "is 0)",
        orphans=(
            OrphanRow("ld_02", "libssl3 3.0.17", "berlin-1, oslo-1", 61, ""),
            OrphanRow("ld_03", "curl 8.9", "oslo-1", 3, "it was halted, and stays so: begin a new lead"),
        ),
    ),
    "viewer": CellsView((BERLIN,), (HALTED,)),
}
