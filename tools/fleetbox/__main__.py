"""`./dev fleet VERB`: the command line over `fleet.py`. `./dev fleet` alone lists the verbs."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tools.fleetbox import bad_update, endpoint, fleet
from tools.fleetbox.settings import DISK_MIB, REPOSITORY, FleetError, Place, place


def parser() -> argparse.ArgumentParser:
    """Verbs and options; the texts are the reference."""
    top = argparse.ArgumentParser(prog="./dev fleet", description="Real Debian endpoints on this machine.")
    top.add_argument("--fleet", metavar="NAME", help="which fleet, when there are several (default: box)")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="build, boot and enrol endpoints")
    up.add_argument("--endpoints", type=int, default=6, metavar="N")
    up.add_argument("--regions", default="eu,us", metavar="A,B")
    up.add_argument("--data", type=Path, default=REPOSITORY / "var", help="the server's data directory (default: var)")
    up.add_argument("--no-enrol", action="store_true", help="endpoints without a server")
    up.add_argument("--mode", choices=("auto", "systemd", "plain"), default="auto", help="PID 1 of the endpoints")
    up.add_argument(
        "--managers", default="", metavar="A,B", help="package managers, dealt in turn: apt,dnf,zypper,pacman"
    )
    up.add_argument(
        "--mixed",
        action="store_const",
        dest="managers",
        const="mixed",
        help="of eight: 4 apt, 2 dnf, 1 zypper, 1 pacman",
    )
    up.add_argument("--disk", type=int, default=DISK_MIB, metavar="MIB", help="size of an endpoint's disk")
    listing = verbs.add_parser("ls", help="the endpoints and their condition")
    listing.add_argument("--json", action="store_true")
    run = verbs.add_parser("run", help="run a command as root in an endpoint; one argument alone is a shell line")
    run.add_argument("name")
    run.add_argument("command", nargs=argparse.REMAINDER)
    for verb, text in (
        ("powercut", "kill every process of an endpoint at once"),
        ("start", "boot an endpoint after a power cut"),
        ("partition", "cut an endpoint off the network"),
        ("heal", "end a partition"),
    ):
        verbs.add_parser(verb, help=text).add_argument("name")
    clone = verbs.add_parser("clone", help="a second machine with the very disk (and keys) of another")
    clone.add_argument("name")
    clone.add_argument("new")
    bad = verbs.add_parser("bad-update", help="prepare an update that does harm, and say how to let it loose")
    bad.add_argument("--harm", choices=tuple(bad_update.HARMS), default="postinst", help="what it does (postinst)")
    verbs.add_parser("down", help="remove everything, also what a killed run left behind")
    return top


def main(arguments: list[str]) -> int:
    """Exit code: 0 done, 1 could not be done (said on stderr), `run`: that of the command."""
    chosen = parser().parse_args(arguments)
    try:
        return act(place(chosen.fleet), chosen)
    except FleetError as error:
        sys.stderr.write(f"fleet: {error}\n")
        return 1


def act(where: Place, chosen: argparse.Namespace) -> int:
    """Carry out one verb."""
    say = fleet.say_on_screen(time.monotonic())
    match chosen.verb:
        case "up":
            count, regions = fleet.checked(chosen.endpoints, chosen.regions)
            data = None if chosen.no_enrol else chosen.data
            fleet.up(where, fleet.Wish(count, regions, data, chosen.mode, chosen.disk, managers=chosen.managers), say)
        case "ls":
            show(fleet.listing(where), as_json=chosen.json)
        case "run":
            return run_inside(where, chosen.name, chosen.command)
        case "powercut":
            fleet.power_cut(where, chosen.name)
        case "start":
            say(f"{chosen.name} {fleet.start(where, chosen.name)}")
        case "partition":
            fleet.partition(where, chosen.name)
        case "heal":
            fleet.heal(where, chosen.name)
        case "clone":
            fleet.clone(where, chosen.name, chosen.new, say)
        case "bad-update":
            sys.stdout.write(bad_update.told(bad_update.prepare(where, chosen.harm, say)))
        case "down":
            left = fleet.down(where)
            sys.stdout.write(f"down; left: {', '.join(left) or 'nothing'}\n")
            return 1 if left else 0
    return 0


def show(lines: tuple[fleet.Line, ...], *, as_json: bool) -> None:
    """The listing, for people or as one JSON document."""
    if as_json:
        sys.stdout.write(json.dumps([asdict(line) for line in lines]) + "\n")
        return
    if not lines:
        sys.stdout.write("no endpoints: start some with `./dev fleet up`\n")
    for one in lines:
        cut = "cut off" if one.partitioned else ""
        sys.stdout.write(
            f"{one.name:<10} {one.region:<8} {one.address:<12} {one.manager:<7} {one.condition:<9} "
            f"{one.memory_mib:>5} MiB  {cut}\n"
        )


def run_inside(where: Place, name: str, command: list[str]) -> int:
    """Become the command: its terminal, its signals and its exit code are the caller's."""
    if not command:
        raise FleetError("Say what to run: `./dev fleet run NAME COMMAND...`.")
    words = ["sh", "-c", command[0]] if len(command) == 1 else command
    full = endpoint.inside(where, name, words)
    os.execvp(full[0], full)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
