"""Audit log and settings: over tenancy."""

from __future__ import annotations

from typing import Final

from brakeline import __version__
from brakeline.console import present, present_limits
from brakeline.console.desk_base import DeskBase
from brakeline.console.screens import Visitor
from brakeline.console.views import AuditRow, AuditView, Badge, Fact, Link, PersonRow, SettingsView, TokenRow, Tone
from brakeline.core.errors import Invalid
from brakeline.tenancy.audit import Entry, Verified
from brakeline.tenancy.model import ApiToken, Person, permissions_of
from brakeline.trust.artifacts import is_release_id

PAGE: Final = 100
CHANGE_CHARS: Final = 160  # of a change in the list; the API has it whole
PAGES: Final = {"ep": "/endpoints/", "ro": "/rollouts/"}  # ids that have a page


class DeskProof(DeskBase):
    """See the module."""

    async def audit(self, who: Visitor, after: str) -> AuditView:
        if after and not (after.isascii() and after.isdigit() and len(after) < 16):
            raise Invalid("the place in the audit log is a number", got=after[:20])
        entries = await self.s.tenancy.audit_entries(who.principal, int(after) if after else None, PAGE)
        found = await self.s.tenancy.audit_verify(who.principal)
        more = len(entries) == PAGE and entries[-1].sequence > 1
        return AuditView(
            *chain(found), tuple(map(audit_row, entries)), f"/audit?after={entries[-1].sequence}" if more else "",
            "/audit" if after else "",
        )  # fmt: skip

    async def settings(self, who: Visitor, fresh_token: str = "") -> SettingsView:
        now = self.s.clock.now_ms()
        people = await self.s.tenancy.people(who.principal) if who.may("people.manage") else ()
        tokens = await self.s.tenancy.tokens(who.principal) if who.may("token.manage") else ()
        set_up, limits = self.s.settings, self.s.rollout.limits
        return SettingsView(
            tuple(map(person_row, people)), tuple(token_row(t, now) for t in reversed(tokens)),
            (
                Fact("Cell", set_up.cell), Fact("Region", set_up.region), Fact("Version", __version__),
                Fact("Data directory", str(set_up.data_dir)),
                Fact("Check-in interval", f"{set_up.check_in_interval_s} s"),
            ),
            fresh_token=fresh_token, may_manage=who.may("token.manage"),
            limits=present_limits.facts(
                await limits.budgets(who.principal), await limits.freeze_windows(who.principal)
            ) if who.may("rollout.read") else (),
        )  # fmt: skip

    async def create_token(self, who: Visitor, name: str, role: str) -> str:
        """Never more than the maker may do: the role's permissions that the maker has too."""
        wanted = permissions_of((role,)) & who.principal.permissions
        return (await self.s.tenancy.create_token(who.principal, name, wanted)).secret

    async def revoke_token(self, who: Visitor, token_id: str) -> None:
        await self.s.tenancy.revoke_token(who.principal, token_id)


def chain(found: Verified) -> tuple[Badge, str]:
    """Badge and sentence for the state of the hash chain."""
    if found.intact:
        return Badge(
            "✓", "verified", Tone.OK
        ), f"chain unbroken over {found.entries:,} entries, newest {found.end[:16]}…"
    return Badge("✕", "broken", Tone.BAD), found.problem


def audit_row(e: Entry) -> AuditRow:
    """One line: what was before and what is after, shortened."""
    change = f"{e.before} → {e.after}" if e.before and e.after else e.after or e.before
    short = change if len(change) <= CHANGE_CHARS else change[:CHANGE_CHARS] + "…"
    page = PAGES.get(e.object_id.partition("_")[0], "/releases/" if is_release_id(e.object_id) else "")
    return AuditRow(
        e.sequence, present.full_time(e.at_ms).replace("T", " ").removesuffix("Z"), e.actor_name, e.action,
        Link(e.object_id, page + e.object_id if page else ""), short, e.hash.hex()[:12],
    )  # fmt: skip


def person_row(p: Person) -> PersonRow:
    return PersonRow(p.name, p.email, ", ".join(p.roles), "disabled" if p.disabled_ms else "")


def token_row(t: ApiToken, now_ms: int) -> TokenRow:
    """A token as it can be shown; only a living one can be revoked."""
    if t.revoked_ms is not None:
        state = Badge("✕", "revoked", Tone.IDLE)
    elif t.expires_ms <= now_ms:
        state = Badge("–", "expired", Tone.IDLE)
    else:
        state = Badge("✓", "valid", Tone.OK)
    left = (t.expires_ms - now_ms) / 1000
    return TokenRow(
        t.token_id, t.name, t.shown, present.plural(len(t.permissions), "permission"),
        f"in {present.span(left)}" if left > 0 else "over", state,
        f"/settings/tokens/{t.token_id}/revoke" if state.tone is Tone.OK else "",
    )  # fmt: skip
