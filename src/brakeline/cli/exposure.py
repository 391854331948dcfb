"""`brakeline exposure`: what is vulnerable where. `assess` needs no server; `__main__` calls it directly."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from brakeline.cli import assess as offline
from brakeline.cli import compare as versions
from brakeline.cli.client import Client
from brakeline.cli.naming import endpoint_id
from brakeline.cli.output import Json, emit, noun, pairs, say, table, talk, when

app = noun("What is vulnerable where, and since when.")
STATES = {
    "fixable_now": "fixable now", "blocked": "fix is held or kept back", "reboot_due": "fixed, restart due",
    "not_offered": "fix not in its repositories", "no_fix": "no fix yet",
    "deferred": "the vendor postpones the fix", "unknown": "not known whether fixable",
    "carrier": "carried, does not run",
}  # fmt: skip


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def assess(context: typer.Context) -> None:
    """Findings of an inventory file against advisory files; needs no server."""
    raise typer.Exit(offline.main(context.args))


@app.command(
    "compare-versions",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def compare_versions(context: typer.Context) -> None:
    """Which of two versions an ecosystem calls newer; needs no server."""
    raise typer.Exit(versions.main(context.args))


@app.command()
def summary(as_json: Json = False) -> None:
    """The fleet in figures, with what is not known beside what is."""
    answer = Client.from_context().get("/exposure")

    def human() -> None:
        pairs({
            "endpoints": f"{answer['assessed']} assessed of {answer['endpoints']}; no data for {answer['no_data']}; "
                         f"{answer['silent']} silent, so their figures may be old",
            "open CVEs": f"{answer['cves']} in what can run, on {answer['vulnerable']} endpoints; "
                         f"{answer['carrier_cves']} more only carried",
            "known exploited": answer["kev"],
            "due": f"{answer['overdue']} overdue, {answer['due_soon']} due within a week",
            "accepted": f"{answer['accepted']} wherever they can run, {answer['partly_accepted']} on some endpoints",
            "what first": ", ".join(f"{n} {level}" for level, n in answer["priorities"].items()) or _nothing(answer),
            "where they stand": ", ".join(f"{n} {STATES[s]}" for s, n in answer["states"].items()) or _nothing(answer),
            "in each ecosystem": ", ".join(f"{n} in {name}" for name, n in answer["ecosystems"].items())
                                 or _nothing(answer),
            "packages not assessed": f"{answer['packages_not_assessed']}"
                                     + "".join(f"; {n} {code}" for code, n in answer["not_assessed"].items()),
        })  # fmt: skip
        _sources(answer)

    emit(answer, as_json, human)


@app.command("index")
def show_index(as_json: Json = False) -> None:
    """The index that answers: size, origin, what comparing it with the database found, what new advisories did."""
    answer = Client.from_context().get("/exposure/index")

    def human() -> None:
        pairs({
            "holds": f"{answer['endpoints']} endpoints, {answer['units']} distinct versions of packages, "
                     f"{answer['rows']} rows, {answer['bytes']} bytes",
            "opened from": answer["origin"],
            "snapshot": when(answer["snapshot_ms"]) if answer["snapshot_ms"] else "none was written yet",
            "compared with the database": _compared(answer),
            "advisories": answer["advisories"],
            "differences": f"{answer['differences']}, each mended" if answer["differences"] else "none",
        })  # fmt: skip
        if answer["refused"]:
            talk(f"What was kept could not be used, and was made anew: {answer['refused']}")
        if answer["last_difference"]:
            talk(f"The last difference, {when(answer['last_difference_ms'])}: {answer['last_difference']}")
        table(
            ["when", "CVE", "sources", "opened on", "of these patchable", "closed on"],
            [(when(a["at_ms"]), a["cve"], " ".join(a["sources"]), a["opened"], a["patchable"], a["closed"])
             for a in answer["arrivals"]],
            "No advisory has changed anything here yet.",
        )  # fmt: skip

    emit(answer, as_json, human)


def _compared(answer: dict[str, Any]) -> str:
    if not answer["rounds"]:
        return "not yet: the server has just started"
    return (f"{when(answer['last_check_ms'])}; {answer['checked_endpoints']} endpoints and {answer['checked_units']} "
            f"units in {answer['rounds']} rounds")  # fmt: skip


@app.command("list")
def list_vulnerabilities(
    query: Annotated[
        str, typer.Argument(help="Such as: priority:act due:overdue accepted:no source:curl ecosystem:pypi CVE-2025")
    ] = "",
    as_json: Json = False,
    endpoint: Annotated[
        str,
        typer.Option(help="Findings of this endpoint (id or host name) instead of the fleet's.", callback=endpoint_id),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    after: Annotated[str, typer.Option(help="Go on where the page before ended.")] = "",
) -> None:
    """CVEs across the fleet, or findings of one endpoint, worst first."""
    if endpoint:
        _of_endpoint(endpoint, as_json, limit)
        return
    page = Client.from_context().get("/vulnerabilities", q=query, limit=limit, after=after or None)

    def human() -> None:
        table(
            ["priority", "CVE", "exploited", "EPSS", "CVSS", "due", "endpoints", "sources", "ecosystem",
             "where it stands"],
            [(v["priority"]["level"], v["cve"], "yes" if v["kev"] else "", *_scores(v), _due(v), v["endpoints"],
              " ".join(v["sources"]), " ".join(v["ecosystems"]), _states(v))
             for v in page["items"]],
            "Nothing open that is known.",
        )  # fmt: skip
        talk(f"{len(page['items'])} of {page['total']}.")
        if page["next"]:
            talk(f"There is more: --after {page['next']}")
        _sources(page)

    emit(page, as_json, human)


@app.command()
def show(cve: str, as_json: Json = False) -> None:
    """One CVE: advisories, endpoints, where it stands on each."""
    answer = Client.from_context().get(f"/vulnerabilities/{cve}")

    def human() -> None:
        found = answer["vulnerability"]
        exploited = f"known exploited, to be closed by {found['kev_due']}" if found["kev"] else "not in the catalogue"
        say(f"{found['cve']}: {exploited}; open on {found['endpoints']} endpoints, carried by {found['carriers']}.")
        pairs({"priority": found["priority"]["level"], "CVSS vector": found["cvss_vector"] or "none known"})
        say(f"  due: {_due(found) or 'no date'}; {found['due_why'] or 'it stands open nowhere'}")
        for reason in found["priority"]["reasons"]:
            say(f"  {reason['text']}")
        rows = [(a["ecosystem"], a["source"], a["id"] or "-", a["state"], a["introduced"] or "-",
                 a["fixed"] or (f"after {a['last_affected']}" if a["last_affected"] else "no fix yet"),
                 a["dist"], a["date"], a["reason"]) for a in answer["advisories"]]  # fmt: skip
        table(["ecosystem", "source", "advisory", "state", "from", "fixed in", "suite", "day", "reason"], rows)
        for c in answer["corrections"]:
            now = f"says now: {c['after']}" if c["after"] else "is no longer there"
            say(f"{when(c['at_ms'])} {c['feed']} {c['kind']} {c['id']} of {c['name']}: it said {c['before']}; it {now}")
        table(
            ["endpoint", "host", "region", "ecosystem", "installed", "fixed in", "where it stands"],
            [(a["endpoint_id"], a["hostname"], a["region"], a["ecosystem"], f"{a['source']} {a['version']}",
              a["fixed"] or "-",
              STATES[a["state"]] + _accepted(a)) for a in answer["affected"]],
            "On no endpoint that is assessed.",
        )  # fmt: skip
        for sentence in answer["limits"]:
            talk(sentence)

    emit(answer, as_json, human)


@app.command()
def trend(
    query: Annotated[str, typer.Argument(help="A filter that is followed, such as: priority:act")] = "",
    days: Annotated[int, typer.Option(min=1, max=730)] = 30,
    as_json: Json = False,
) -> None:
    """What stood open, a line a day; a day on which nobody looked is missing."""
    answer = Client.from_context().get("/exposure/trend", days=days, q=query or None)
    columns = ["day", "cves", "kev", "overdue", "accepted", "vulnerable", "assessed", "endpoints"]
    names = ["day", "open", "exploited", "overdue", "accepted", "vulnerable endpoints", "assessed", "of"]
    emit(answer, as_json, lambda: table(names, [[d[c] for c in columns] for d in answer["days"]], "No day is known."))


@app.command()
def followed(as_json: Json = False) -> None:
    """Filters of vulnerabilities that have a line a day of their own."""
    answer = Client.from_context().get("/exposure/trend/followed")
    rows = [(one["query"], one["since"], one["by"]) for one in answer["items"]]
    emit(answer, as_json, lambda: table(["filter", "since", "by"], rows, "No filter is followed."))


@app.command()
def follow(
    query: Annotated[str, typer.Argument(help="As of `vuln list`: such as priority:act ecosystem:pypi")],
    as_json: Json = False,
) -> None:
    """From today on, what matches has a line a day of its own: brakeline exposure trend QUERY."""
    answer = Client.from_context().request("PUT", f"/exposure/trend/followed?{urlencode({'q': query})}")
    emit(answer, as_json, lambda: say(f"{answer['query']} is followed since {answer['since']}."))


@app.command()
def unfollow(query: str, as_json: Json = False) -> None:
    """Stop following a filter; its lines are back when it is followed again."""
    Client.from_context().delete(f"/exposure/trend/followed?{urlencode({'q': query})}")
    emit({"query": query, "followed": False}, as_json, lambda: say(f"{query} is followed no more."))


@app.command()
def times(days: Annotated[int, typer.Option(min=1, max=730)] = 90, as_json: Json = False) -> None:
    """How long closing took, by class and ring; closed is what an inventory shows."""
    answer = Client.from_context().get("/exposure/times", days=days)

    def human() -> None:
        table(
            ["class", "ring", "closed", "mean h", "half within h", "9 of 10 within h", "published to known h",
             "to fixable h", "to closed h", "package went away"],
            [(r["kind"], "none" if r["ring"] < 0 else r["ring"] + 1, r["closed"], *map(_hours, (
                r["mean_h"], r["median_h"], r["p90_h"], r["published_known_h"], r["known_fixable_h"],
                r["fixable_closed_h"])), r["removed"]) for r in answer["rows"]],
            "Nothing was closed in this time, as far as inventories show.",
        )  # fmt: skip

    emit(answer, as_json, human)


def _hours(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _of_endpoint(endpoint: str, as_json: bool, limit: int) -> None:
    answer = Client.from_context().get(f"/endpoints/{endpoint}/findings")

    def human() -> None:
        if not answer["inventory_ms"]:
            why = [f"{n['package']}: {n['reason']}" for n in answer["not_assessed"]]
            say(f"Nothing is known of this endpoint: {(why or ['it has sent no inventory yet'])[0]}.")
        rows = [(f["priority"]["level"], f["cve"], "yes" if f["kev"] else "", *_scores(f), f["ecosystem"], f["package"],
                 f["installed"], f["fixed"] or "-",
                 STATES["carrier" if f["role"] == "carrier" else f["state"]], when(f["since_ms"]))
                for f in answer["findings"][:limit]]  # fmt: skip
        columns = ["priority", "CVE", "exploited", "EPSS", "CVSS", "ecosystem", "package", "installed", "fixed in",
                   "where it stands", "since"]  # fmt: skip
        table(columns, rows, "None known.")
        talk(f"{len(rows)} of {len(answer['findings'])}; {len(answer['not_assessed'])} packages were not assessed.")
        firsts = {n["code"]: n for n in reversed(answer["not_assessed"])}
        codes = Counter(n["code"] for n in answer["not_assessed"])
        for code, count in codes.most_common():
            talk(f"  {count} {code}: {firsts[code]['package']}: {firsts[code]['reason']}")
        if answer["dismissed_counts"]:
            counts = ", ".join(f"{n} {code.replace('_', ' ')}" for code, n in answer["dismissed_counts"].items())
            talk(f"Advisories that make no finding: {counts}; --json has the first of them with the reason.")
        if answer["unknown_since_ms"] is not None:
            talk(f"Not heard since {when(answer['unknown_since_ms'])}: this may be old.")
        for sentence in answer["limits"]:
            talk(sentence)

    emit(answer, as_json, human)


def _nothing(answer: dict[str, Any]) -> str:
    return "nothing open that is known" if answer["assessed"] else "not known: no endpoint was assessed"


def _scores(scored: dict[str, Any]) -> tuple[str, str]:
    """EPSS and CVSS; "?" where nothing says."""
    epss, cvss = scored["epss"], scored["cvss"]
    return "?" if epss is None else f"{epss:.1%}", "?" if cvss is None else f"{cvss:.1f}"


def _accepted(a: dict[str, Any]) -> str:
    return f", accepted until {when(a['accepted_until_ms'])}" if a["accepted_until_ms"] else ""


def _due(v: dict[str, Any]) -> str:
    """The last day in time, how late it is, and on how many endpoints it is accepted."""
    if v["accepted_whole"]:
        return f"accepted until {when(v['accepted_until_ms'])[:10]}"
    late = f" ({v['overdue_days']} d over)" if v["overdue_days"] else ""
    return f"{v['due']}{late}" + (f", accepted on {v['accepted']}" if v["accepted"] else "")


def _states(vulnerability: dict[str, Any]) -> str:
    parts = [f"{count} {STATES[state]}" for state, count in vulnerability["states"].items()]
    if vulnerability["carriers"]:
        parts.append(f"{vulnerability['carriers']} carried, does not run")
    return ", ".join(parts)


def _sources(answer: dict[str, Any]) -> None:
    for feed in answer["feeds"]:
        trouble = f" PROBLEM: {feed['problem']}" if feed["problem"] else ""
        talk(f"{feed['feed']}: {feed['rows']} rows, newest of {feed['content_day'] or 'no day'}.{trouble}")
    for sentence in answer["limits"]:
        talk(sentence)
