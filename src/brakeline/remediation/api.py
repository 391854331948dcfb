"""People's routes of remediation below `/api/v1`: policies, and deployments with preview and create apart.

`POST /deployments/preview` changes nothing; `POST /deployments` takes the same body with `expect_count` (and `digest`)
of the preview that somebody saw, and answers 409 when the world has moved on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from brakeline.platform.web import decode_cursor, encode_cursor
from brakeline.protocol.codec import to_plain
from brakeline.remediation.model import Preview
from brakeline.remediation.service import PAGE_MAX, RemediationService
from brakeline.remediation.words import parsed
from brakeline.rollout import plans
from brakeline.rollout.model import Policy
from brakeline.rollout.pace import BY_RISK, CAREFUL
from brakeline.rollout.pace_text import HEAD, rows
from brakeline.tenancy.api import current_principal
from brakeline.tenancy.model import Principal
from brakeline.tenancy.waiting import WAITS, asked

router = APIRouter(prefix="/api/v1", tags=["remediation"])
Who = Annotated[Principal, Depends(current_principal)]


def _service(request: Request) -> RemediationService:
    service: RemediationService = request.app.state.remediation
    return service


Remediation = Annotated[RemediationService, Depends(_service)]


@dataclass(frozen=True, slots=True)
class PolicyBody:
    """`mode`: assess | patch | leave. With `expect_count` it is refused unless so many endpoints match."""

    name: str
    filter: str
    mode: str
    refresh_interval_s: int | None = None
    inventory_interval_s: int | None = None
    expect_count: int | None = None
    self_update: bool | None = None  # may the agents take newer releases of themselves? null = not said
    pin: str = ""  # release_id at which they stay
    channel: str = ""  # of releases, that they follow: stable | early; "" = not said
    windows: tuple[str, ...] = ()  # "sat,sun 00:00/24:00", in the local time of each endpoint; none = not said
    restart: str = ""  # never | required | window | any
    conffiles: str = ""  # hold | keep | replace
    restarts_a_day: int | None = None
    download_kib_s: int | None = None
    nice: int | None = None
    probes: tuple[str, ...] = ()  # "web http://127.0.0.1:8080/health"; what root of an endpoint allows is tried there


@dataclass(frozen=True, slots=True)
class Wanted:
    """`selection`: security | all | names | cve; `names` for the last two. `across`: over several distributions."""

    filter: str = ""
    selection: str = "security"
    names: tuple[str, ...] = ()
    across: bool = False


@dataclass(frozen=True, slots=True)
class NewDeployment:
    """What to make; `expect_count` is that of the preview, `digest` stands for its pins."""

    expect_count: int
    filter: str = ""
    selection: str = "security"
    names: tuple[str, ...] = ()
    digest: str = ""
    title: str = ""
    start: bool = False
    pace: str = BY_RISK  # risk = as the preview suggests | careful | fast | emergency | rehearsal
    pace_reason: str = ""  # why, where it is not the suggested one
    policy: dict[str, Any] | None = None  # one of one's own instead, as `rollout.model.Policy`
    across: bool = False  # over every distribution that has something to do, each endpoint with its own versions


def rendered(preview: Preview) -> dict[str, Any]:
    """A preview with its figures beside its lists; `count` and `digest` are what `create` takes as they stand."""
    plain: dict[str, Any] = to_plain(preview)
    figures = {
        "count": preview.count, "digest": preview.plan.digest, "skipped_by_code": preview.skipped_by_code(),
        "pace_table": [HEAD, *rows(preview.pace)],
    }  # fmt: skip
    return plain | figures


@router.get("/policies")
async def policies(who: Who, remediation: Remediation) -> dict[str, Any]:
    """Every policy, oldest first. Age does not matter: of several, the most careful wins."""
    return {"items": to_plain(await remediation.policies(who))}


@router.get("/policies/ahead")
async def look_ahead(
    who: Who, remediation: Remediation, pace: str = CAREFUL, q: Annotated[str, Query(alias="filter")] = ""
) -> dict[str, Any]:
    """What rollouts over the endpoints of a filter would look like: finish, what each ring sees, who would be reached.

    The same figures as on a rollout's own page. Changes nothing.
    """
    return to_plain(await remediation.look_ahead(who, q, pace))  # type: ignore[no-any-return]


@router.post("/policies", status_code=201)
async def create_policy(body: PolicyBody, who: Who, remediation: Remediation) -> dict[str, Any]:
    """Make a policy. `settings` says what of it waits for a rollout of settings."""
    made = await remediation.create_policy(
        who, name=body.name, filter_text=body.filter, mode=body.mode, refresh_interval_s=body.refresh_interval_s,
        inventory_interval_s=body.inventory_interval_s, expect_count=body.expect_count, self_update=body.self_update,
        pin=body.pin, channel=body.channel,
        words=parsed(
            windows=body.windows, restart=body.restart, conffiles=body.conffiles, restarts_a_day=body.restarts_a_day,
            download_kib_s=body.download_kib_s, nice=body.nice, probes=body.probes,
        ),
    )  # fmt: skip
    plain: dict[str, Any] = to_plain(made)
    return plain | {"settings": to_plain(await remediation.settings_standing(who))}


@router.delete("/policies/{policy_id}", status_code=204)
async def delete_policy(policy_id: str, who: Who, remediation: Remediation) -> Response:
    """Remove a policy."""
    await remediation.delete_policy(who, policy_id)
    return Response(status_code=204)


@router.get("/endpoints/{endpoint_id}/settings")
async def settings(endpoint_id: str, who: Who, remediation: Remediation) -> dict[str, Any]:
    """What the agent of this endpoint is told, and why; `sheet`: each setting, from which policy and since when."""
    found, reason = await remediation.explain_settings(who, endpoint_id)
    update = await remediation.explain_self_update(who, endpoint_id)
    sheet = to_plain(await remediation.settings_sheet(who, endpoint_id))
    return {"settings": to_plain(found), "why": reason, "self_update": to_plain(update), "sheet": sheet}


@router.post("/deployments/preview")
async def preview(body: Wanted, who: Who, remediation: Remediation) -> dict[str, Any]:
    """What would be updated where, who is left out, which findings close. Changes nothing."""
    return rendered(await remediation.preview(who, body.filter, body.selection, body.names, across=body.across))


@router.post("/deployments", status_code=201, response_model=None, responses=WAITS)
async def create(
    request: Request, body: NewDeployment, who: Who, remediation: Remediation
) -> dict[str, Any] | JSONResponse:
    """Make the deployment that was previewed, as a rollout.

    Where its policy is less careful than usual, it is a draft until a second person has agreed.
    """
    policy: Policy | None = plans.parse(body.policy, "policy") if body.policy is not None else None
    made = await remediation.create(
        who, body.filter, body.selection, body.names, title=body.title, expect_count=body.expect_count,
        digest=body.digest, pace=body.pace, pace_reason=body.pace_reason, policy=policy, start=body.start,
        across=body.across,
    )  # fmt: skip
    waits = await remediation.waiting(who, made) if body.start else None
    plain: dict[str, Any] = to_plain(made)
    return asked(request, waits, **plain) if waits is not None else plain


@router.get("/deployments")
async def deployments(
    who: Who, remediation: Remediation, after: str = "", limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 50
) -> dict[str, Any]:
    """Newest first."""
    before = str(decode_cursor("deployments", after)[0]) if after else None
    items, last = await remediation.deployments(who, before=before, limit=limit)
    return {"items": to_plain(items), "next": encode_cursor("deployments", last) if last else None}


@router.get("/deployments/{deployment_id}")
async def show(deployment_id: str, who: Who, remediation: Remediation) -> dict[str, Any]:
    """One deployment, by its id or its rollout's: what it was to close and what still stands open."""
    return to_plain(await remediation.deployment(who, deployment_id))  # type: ignore[no-any-return]
