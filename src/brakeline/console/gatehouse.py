"""The real doors: sessions of `tenancy`, as the console's pages need them."""

from __future__ import annotations

import asyncio

from brakeline.console.screens import Visitor
from brakeline.console.views import LoginView
from brakeline.core.errors import Invalid, Unauthenticated, Unavailable
from brakeline.tenancy.api import PRESS_S
from brakeline.tenancy.break_glass import BreakGlass
from brakeline.tenancy.faults import DatabaseAway
from brakeline.tenancy.passwords import PASSWORD_CHARS_MIN, csrf_token
from brakeline.tenancy.service import TenancyService


class Gatehouse:
    """`screens.Doors` over the tenancy service."""

    def __init__(self, tenancy: TenancyService, glass: BreakGlass) -> None:
        self._tenancy, self._glass = tenancy, glass

    async def visitor(self, cookie: str) -> Visitor | None:
        try:
            principal = await self._tenancy.authenticate_session(cookie)
        except Unauthenticated:
            return None
        return Visitor(principal, csrf_token(cookie), cookie)

    async def presser(self, cookie: str) -> Visitor | None:
        try:
            async with asyncio.timeout(PRESS_S):
                return await self.visitor(cookie)
        except (Unavailable, TimeoutError) as e:
            known = self._tenancy.presser(cookie)
            if known is None:
                raise DatabaseAway from e
            return Visitor(known, csrf_token(cookie), cookie)

    def by_code(self, code: str) -> Visitor:
        return Visitor(self._glass.presser(code), "", "")

    def form_token(self, cookie: str) -> str:
        return csrf_token(cookie)

    async def log_in(self, email: str, password: str) -> str:
        return (await self._tenancy.login(email, password)).cookie

    async def look_at_link(self, token: str) -> LoginView:
        """The form, whatever the token is: asking the database would tell strangers which links exist."""
        return LoginView("link", token=token, minimum=PASSWORD_CHARS_MIN)

    async def use_link(self, token: str, password: str) -> str:
        """The password is checked first, so that one that is too short does not use the link up."""
        if len(password) < PASSWORD_CHARS_MIN:
            raise Invalid(f"a password needs at least {PASSWORD_CHARS_MIN} characters; four random words are good")
        session = await self._tenancy.redeem_login_link(token)
        await self._tenancy.set_password(session.principal, password)
        return session.cookie

    async def log_out(self, cookie: str) -> None:
        await self._tenancy.logout(cookie)
