"""Routes of logging in, audit log, settings and static files."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from brakeline.console.assets import Asset
from brakeline.console.kit import SESSION_COOKIE, Kit, read_form, safe_next, with_session
from brakeline.console.security import require_own_origin
from brakeline.console.views import LoginView, Shell
from brakeline.core.errors import Fault, Invalid, NotFound, Unauthenticated


class AccountPages:
    def __init__(self, kit: Kit, assets: dict[str, Asset]) -> None:
        self.kit, self.screens, self.doors, self.assets = kit, kit.screens, kit.doors, assets

    def routes(self) -> list[Route]:
        return [
            Route("/login", self.login_form, methods=["GET"]),
            Route("/login", self.log_in, methods=["POST"]),
            Route("/login/link", self.use_link, methods=["POST"]),
            Route("/login/{token}", self.link_form, methods=["GET"]),
            Route("/logout", self.log_out, methods=["POST"]),
            Route("/audit", self.audit),
            Route("/settings", self.settings),
            Route("/settings/tokens", self.create_token, methods=["POST"]),
            Route("/settings/tokens/{id}/revoke", self.revoke_token, methods=["POST"]),
            Route("/static/{name}", self.static),
        ]

    async def login_form(self, request: Request) -> Response:
        return self._door(LoginView("password", next=safe_next(request.query_params.get("next", "/"))))

    async def log_in(self, request: Request) -> Response:
        require_own_origin(request.headers)
        form = await read_form(request)
        email, target = form.get("email", "").strip(), safe_next(form.get("next", "/"))
        try:
            cookie = await self.doors.log_in(email, form.get("password", ""))
        except Unauthenticated as wrong:
            return self._door(LoginView("password", email, _said(wrong), next=target), 401)
        return with_session(RedirectResponse(target, 303), cookie, secure=request.url.scheme == "https")

    async def link_form(self, request: Request) -> Response:
        """Looking does not use the link up: mail scanners and previews look too."""
        view = await self.doors.look_at_link(request.path_params["token"])
        return self._door(view, 200 if view.mode == "link" else 410)

    async def use_link(self, request: Request) -> Response:
        require_own_origin(request.headers)
        form = await read_form(request)
        token = form.get("token", "")
        try:
            cookie = await self.doors.use_link(token, form.get("password", ""))
        except Invalid as wrong:
            return self._door(LoginView("link", error=_said(wrong), token=token), 422)
        except Unauthenticated as wrong:
            return self._door(LoginView("dead_link", error=_said(wrong)), 410)
        return with_session(RedirectResponse("/", 303), cookie, secure=request.url.scheme == "https")

    async def log_out(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.doors.log_out(who.cookie)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response

    async def audit(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        view = await self.screens.audit(who, request.query_params.get("after", ""))
        return await self.kit.page(request, who, "audit", view, "Audit log")

    async def settings(self, request: Request) -> Response:
        who = await self.kit.enter(request)
        return await self.kit.page(request, who, "settings", await self.screens.settings(who), "Settings")

    async def create_token(self, request: Request) -> Response:
        """Answers with the page itself: the token is shown once, so there is nothing to redirect to."""
        who, form = await self.kit.posted(request)
        token = await self.screens.create_token(who, form.get("name", "").strip(), form.get("role", ""))
        view = await self.screens.settings(who, token)
        return await self.kit.page(request, who, "settings", view, "Settings")

    async def revoke_token(self, request: Request) -> Response:
        who, _ = await self.kit.posted(request)
        await self.screens.revoke_token(who, request.path_params["id"])
        return RedirectResponse("/settings?done=revoked", 303)

    async def static(self, request: Request) -> Response:
        asset = self.assets.get(request.path_params["name"])
        if asset is None:
            raise NotFound("no such file")
        forever = request.query_params.get("v") == asset.tag
        cache = "public, max-age=31536000, immutable" if forever else "no-cache"
        headers = {"cache-control": cache, "etag": f'"{asset.tag}"'}
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(asset.body, media_type=asset.media_type, headers=headers)

    def _door(self, view: LoginView, status: int = 200) -> Response:
        text = self.kit.renderer.page("login", view, Shell(title="Log in"))
        return Response(text, status, media_type="text/html")


def _said(fault: Fault) -> str:
    return " ".join(p for p in (fault.title, fault.detail, fault.hint) if p)
