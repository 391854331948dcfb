"""Use cases of releases: publish, withdraw, recall, pardon, and the documents that endpoints ask for.

The register in the database says what is wanted; `_converge` makes the signed documents say it, as far as the keys
here reach, and may be run at any time, twice, or after a crash. Order of every act: what is needed is durable (bundle,
documents that people signed), then register and audit log in one transaction, then the documents; only then it is
acknowledged. So a crash in between loses nothing that was acknowledged, and serves no half publication.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from brakeline.catalog.curated.model import CATALOGUE, CATALOGUE_BYTES_MAX
from brakeline.core.clock import Clock
from brakeline.core.errors import Conflict, Invalid, NotFound, Unavailable
from brakeline.platform.database import Database
from brakeline.platform.observe import logger
from brakeline.releases import decide, signing, store
from brakeline.releases.bundles import Bundles, inspect, member
from brakeline.releases.faults import BadMetadata, NotSigned, RepositoryBroken
from brakeline.releases.files import make_directory
from brakeline.releases.keys import Keyring
from brakeline.releases.leasing import Leases
from brakeline.releases.model import CONTENT, LeaseWish, Release, Status
from brakeline.releases.publisher import Draft, Facts, Publisher
from brakeline.releases.repository import INCOMING, Repository, version_of
from brakeline.releases.standing import status_of
from brakeline.tenancy import audit
from brakeline.tenancy.approvals import Agreed, Approvals
from brakeline.tenancy.faults import Overtaken
from brakeline.tenancy.model import Principal
from brakeline.tenancy.two_people import Act, Request
from brakeline.trust import metadata
from brakeline.trust.artifacts import About
from brakeline.trust.envelope import TARGETS_BYTES_MAX, parse
from brakeline.trust.errors import Distrust
from brakeline.trust.metadata import ROOTS_MAX, Target
from brakeline.trust.model import Documents

REASON_CHARS_MAX: Final = 500


class ReleasesService:
    """The release repository of one cell, below `directory`."""

    def __init__(self, db: Database, clock: Clock, approvals: Approvals, directory: Path, cell: str) -> None:
        self._db, self._clock, self._approvals, self._directory, self.cell = db, clock, approvals, directory, cell
        approvals.register(Act.PARDON, self)
        self._bundles = Bundles(directory / "targets")
        self._publisher = Publisher(cell, Keyring(directory / "keys"), Repository(directory, cell), self._bundles)
        self._leases = Leases(cell)
        self._converging, self._acting = asyncio.Lock(), asyncio.Lock()
        self._documents, self._durable = Documents(), Documents()  # what is served, what is known to be on the disk
        self._releases: tuple[Release, ...] = ()
        self._signed: Mapping[str, Target] = {}
        self._signers: dict[str, list[Any]] = {}
        self._notes: tuple[str, ...] = ()
        self._broken = ""

    async def open(self) -> None:
        """Read keys and documents; without any, make a developer root. A broken repository leaves the server running:
        it then says so, serves nothing new and refuses to publish."""
        make_directory(self._directory)
        self._publisher.keys.scan()
        now_ms = self._clock.now_ms()
        try:
            loaded = await asyncio.to_thread(self._publisher.repository.load)
            if loaded is None:
                self._documents = await asyncio.to_thread(self._publisher.begin, now_ms)
            else:
                self._documents = self._durable = loaded
            await self._converge()
        except (RepositoryBroken, NotSigned, OSError) as e:
            self._broken, self._documents = str(e), Documents()
            logger.error("release-repository-broken", reason=str(e))

    # --- what endpoints and rollouts ask for -----------------------------------------------------------------------

    def root_json(self) -> str:
        """The newest root, to be pinned at enrolment; "" when the repository is broken."""
        return self._documents.roots[-1] if self._documents.roots else ""

    def documents(self, root: int, channel: str, region: str, nonce: str) -> Documents:
        """What an endpoint needs that knows root version `root`: everything signed, the time over its nonce, and the
        leases for its channel and region."""
        d, now_ms = self._documents, self._clock.now_ms()
        cell, conductor = self._signers.get("cell", []), self._signers.get("conductor", [])
        time = signing.time_text(self.cell, nonce, now_ms, cell) if nonce and cell else ""
        leases = self._leases.texts(channel, region, self._leasable(), now_ms, cell, conductor)
        return replace(d, roots=d.roots[max(root, 0) :][:ROOTS_MAX], time=time, leases=leases)

    def _leasable(self) -> dict[str, Target]:
        free = {r.path for r in self._releases if r.state == "published"}
        return {path: target for path, target in self._signed.items() if path in free}

    def set_leases(self, wishes: tuple[LeaseWish, ...]) -> None:
        """Everything that rollouts wish to be leased from now on; what is not among it is leased no longer."""
        self._leases.set(wishes)

    def follow_order(self, endpoint_id: str, generation: int, channel: str, self_update: bool, pin: str) -> str:
        """A signed order to one endpoint's launcher; "" when the cell's key is not usable."""
        signers = self._signers.get("cell", [])
        if not signers:
            return ""
        return signing.follow_text(
            self.cell, endpoint_id, generation, channel, self_update, pin, self._clock.now_ms(), signers
        )

    def target(self, sha256: str) -> Path | None:
        """The file of a bundle that signed targets list."""
        return self._bundles.find(sha256) if any(t.sha256 == sha256 for t in self._signed.values()) else None

    @property
    def led(self) -> bool:
        """Whether the root names a conductor whose key is not here: without its grant nothing is offered."""
        return bool(self._signers) and not self._signers.get("conductor")

    def known(self) -> tuple[Release, ...]:
        """Every release as the register had it last, newest first; in memory."""
        return self._releases

    def recalled(self) -> frozenset[str]:
        """Release ids that must not run."""
        return frozenset(r.release_id for r in self._releases if r.recalled_ms)

    def catalogue(self) -> tuple[str, bytes] | None:
        """The curated catalogue of the newest content that stands, with the release that brought it. Reads files."""
        standing = [r for r in self._releases if r.product == CONTENT and r.state == "published"]
        for release in sorted(standing, key=lambda r: r.sequence, reverse=True):
            path = self._bundles.find(release.sha256)
            data = member(path, CATALOGUE, CATALOGUE_BYTES_MAX) if path is not None else None
            if data is not None:
                return release.release_id, data
        return None

    # --- what people ask for ---------------------------------------------------------------------------------------

    async def list(self, principal: Principal) -> tuple[Release, ...]:
        """Every release, newest first."""
        principal.require("release.read")
        return tuple([await self._asked(r) for r in await self._read()])

    async def get(self, release_id: str) -> Release | None:
        """One release."""
        found = await self._find(release_id)
        return await self._asked(found) if found is not None else None

    async def _find(self, release_id: str) -> Release | None:
        return next((r for r in await self._read() if r.release_id == release_id), None)

    def status(self) -> Status:
        """Where keys are, what expires, what people have to do."""
        if not self._documents.roots:
            return Status("broken", 0, False, "the release repository is broken", warnings=(self._broken,))
        return status_of(self._publisher, self._documents, self._releases, self._notes, self._clock.now_ms())

    def present(self) -> Documents:
        """Everything that is published now, all roots in it: what people stage the next documents from."""
        return self._documents

    async def wanted(self) -> dict[str, decide.Wanted]:
        """What the next targets and content should say, by the register: what people stage and sign."""
        known = await self._read()
        have = await asyncio.to_thread(self._bundles.present)
        return {role: decide.wanted(known, role, have) for role in ("targets", CONTENT)}

    async def publish(self, principal: Principal, bundle: bytes, signed_targets: str = "", notes: str = "") -> Release:
        """Publish a bundle; nobody runs it until a rollout is made of it. `signed_targets`: the next targets (for
        content: the next content) document, where those keys are offline. Publishing the same bundle again is fine."""
        principal.require("release.publish")
        self._require_usable()
        said, sha256 = await asyncio.to_thread(inspect, bundle)
        async with self._acting:
            known = await self._read()
            published = decide.refuse_release(said, sha256, known)
            release = published or _new(said, sha256, len(bundle), principal, notes, self._clock.now_ms())
            await asyncio.to_thread(self._require_signable, release, known, signed_targets)
            await self._disk(self._bundles.keep, sha256, bundle)
            if signed_targets:
                await self._disk(self._publisher.repository.bring, _role(release), signed_targets)
            if published is None:
                await self._register(principal, release)
            await self._converge()
        if release.path not in self._signed:
            raise NotSigned(f"{release.release_id} is registered, but not signed yet: {'; '.join(self._notes)}")
        return release

    async def withdraw(self, principal: Principal, release_id: str, reason: str) -> None:
        """Offer it to nobody any more: no lease from now on, and out of the signed targets (by their holders where the
        keys are offline: `status` says so until it is done). Whoever runs it goes on running it. Twice is fine."""
        async with self._acting:
            release = await self._theirs(principal, release_id, reason)
            if not release.withdrawn_ms:
                async with self._db.tenant(principal.tenant_id) as conn:
                    await store.withdraw(conn, release_id, self._clock.now_ms(), reason)
                    await audit.append(conn, self._clock, principal, "release.withdraw", release_id,
                                       after={"reason": reason})  # fmt: skip
            await self._converge()

    async def recall(self, principal: Principal, release_id: str, reason: str) -> None:
        """Forbid it everywhere, now. Needs no offline key. Twice is fine."""
        async with self._acting:
            release = await self._theirs(principal, release_id, reason)
            if not release.recalled_ms:
                async with self._db.tenant(principal.tenant_id) as conn:
                    await store.recall(conn, release_id, self._clock.now_ms(), reason)
                    await audit.append(conn, self._clock, principal, "release.recall", release_id,
                                       after={"reason": reason})  # fmt: skip
            await self._converge()

    async def pardon(self, principal: Principal, release_id: str, reason: str) -> Request:
        """Ask for a recall to be taken back: the request that a second person agrees to. Then the holders of the
        targets key sign it (this server at once, if it has the key)."""
        release = await self._theirs(principal, release_id, reason)
        if not release.recalled_ms:
            raise Conflict(f"{release_id} is not recalled")
        says = (
            f"Take back the recall of {release.product} {release.version} ({release_id}): {release.recalled_reason}.",
            "It may run again where it has not failed; it is offered to nobody by itself.",
            f"Reason: {reason.strip()}",
        )
        return await self._approvals.ask(
            principal, Act.PARDON, release_id, {"reason": reason.strip()}, says, _situation(release)
        )  # fmt: skip

    async def situation(self, tenant_id: str, request: Request) -> str:  # noqa: ARG002 - ids are the installation's
        """For `approvals.Performer`: whether this very recall still stands."""
        found = await self._find(request.object_id)
        return _situation(found) if found is not None else "gone"

    async def perform(self, agreed: Agreed, request: Request) -> None:
        """For `approvals.Performer`."""
        principal, reason = agreed.principal, str(request.parameters["reason"])
        async with self._acting:
            release = await self._theirs(principal, request.object_id, reason)
            if _situation(release) != request.situation:
                raise Overtaken(f"{release.release_id} is {_situation(release)}")
            now_ms = self._clock.now_ms()
            until = decide.next_version(version_of(self._documents.recall), now_ms) + decide.PARDON_LISTS
            async with self._db.tenant(principal.tenant_id) as conn:
                await store.pardon(conn, release.release_id, until)
                after = {
                    "reason": reason, "by": agreed.names, "persons": agreed.persons, "approval": agreed.approval_id,
                }  # fmt: skip
                await audit.append(conn, self._clock, principal, "release.pardon", release.release_id, after=after)
            await self._converge()

    async def _asked(self, release: Release) -> Release:
        """The release with who has asked for its pardon, while that waits for somebody."""
        asked = await self._approvals.about(release.tenant_id, release.release_id) if release.recalled_ms else None
        if asked is None:
            return replace(release, pardon_asked_ms=0, pardon_asked_by="", pardon_line=())
        return replace(
            release, pardon_asked_ms=asked.asked_ms, pardon_asked_by=asked.asked_by, pardon_line=(asked.first,)
        )  # fmt: skip

    async def import_metadata(self, principal: Principal, brought: Mapping[str, str]) -> tuple[str, ...]:
        """Take documents that people have signed elsewhere: "root", "targets", "content" -> text. They count together
        or wait (for a bundle that they list); sentences say which. `BadMetadata` if they can never count."""
        principal.require("release.publish")
        self._require_usable()
        if not brought or set(brought) - set(INCOMING):
            raise Invalid(f"documents are called {', '.join(INCOMING)}")
        for name, text in brought.items():
            _require_document(name, text)
        self._publisher.keys.scan()
        async with self._acting:
            known, waiting = await self._read(), self._publisher.repository.incoming()
            facts = replace(self._publisher.facts(known, self._clock.now_ms()), incoming=waiting | dict(brought))
            draft = await asyncio.to_thread(self._publisher.draft, self._documents, facts)
            if refused := [f"{name}: {why}" for name, why in draft.refused.items() if name in brought]:
                raise BadMetadata("; ".join(refused))
            async with self._db.tenant(principal.tenant_id) as conn:
                for name, text in brought.items():
                    await self._disk(self._publisher.repository.bring, name, text)
                after = {name: version_of(text) for name, text in brought.items()}
                await audit.append(conn, self._clock, principal, "release.metadata", self.cell, after=after)
            await self._converge()
        counted = [f"{name} {version_of(text)} is served from now on" for name, text in brought.items()
                   if text in (getattr(self._documents, name, ""), self.root_json())]  # fmt: skip
        useless = self.status().useless_keys
        told = [f"no role needs these key files any more, and they may be destroyed: {', '.join(useless)}"]
        return (*counted, *self._notes, *(told if useless else []))

    async def reconcile(self) -> str:
        """Sign anew what would expire, finish what a crash interrupted; says what people have to do."""
        if self._broken:
            await self.open_again()
        if self._broken:
            return self._broken
        self._publisher.keys.scan()
        await self._converge()
        warnings = self.status().warnings
        return f"{len(self._releases)} releases, {len(self.recalled())} recalled" + "".join(f"; {w}" for w in warnings)

    async def open_again(self) -> None:
        """Try once more to use a repository that was broken."""
        self._broken = ""
        await self.open()

    # --- steps -----------------------------------------------------------------------------------------------------

    async def _read(self) -> tuple[Release, ...]:
        async with self._db.system() as conn:
            return await store.releases(conn)

    async def _disk(self, write: Any, *given: Any) -> None:
        try:
            await asyncio.to_thread(write, *given)
        except OSError as e:
            raise Unavailable(f"{self._directory}: {e.strerror or e}; nothing was published") from e

    async def _register(self, principal: Principal, release: Release) -> None:
        async with self._db.tenant(principal.tenant_id) as conn:
            await store.add(conn, release)
            after = {"product": release.product, "version": release.version, "platform": release.platform,
                     "sequence": release.sequence, "sha256": release.sha256}  # fmt: skip
            await audit.append(conn, self._clock, principal, "release.publish", release.release_id, after=after)

    async def _theirs(self, principal: Principal, release_id: str, reason: str) -> Release:
        """The release, if this principal may forbid it: releases serve all organisations of the installation."""
        principal.require("release.recall")
        self._require_usable()
        if not reason.strip() or len(reason) > REASON_CHARS_MAX:
            raise Invalid(f"a reason of at most {REASON_CHARS_MAX} characters is needed; it is kept in the audit log")
        found = await self.get(release_id)
        if found is None:
            raise NotFound(f"there is no release {release_id[:60]!r}")
        if principal.kind != "system" and found.tenant_id != principal.tenant_id:
            raise NotFound(f"{release_id} was published by another organisation: stop your own rollout of it instead")
        return found

    def _require_usable(self) -> None:
        if self._broken:
            raise RepositoryBroken(self._broken)

    def _require_signable(self, release: Release, known: tuple[Release, ...], signed: str) -> None:
        """Raises unless the documents would list it: before anything is written."""
        role = _role(release)
        facts = self._publisher.facts((*(r for r in known if r.path != release.path), release), self._clock.now_ms())
        facts = replace(facts, have={*facts.have, release.sha256})
        if signed:
            _require_document(role, signed)
            facts = replace(facts, incoming={**facts.incoming, role: signed})
        draft = self._publisher.draft(self._documents, facts)
        if signed and role not in draft.used:
            raise BadMetadata(draft.refused.get(role) or "; ".join(draft.notes))
        if release.path not in _listed(draft.documents):
            raise NotSigned("; ".join(draft.notes) or f"the {role} key is not on this server")

    async def _converge(self) -> None:
        """Make the signed documents say what the register says."""
        async with self._converging:
            releases = await self._read()
            facts = await asyncio.to_thread(self._publisher.facts, releases, self._clock.now_ms())
            self._releases = releases  # at once: whatever follows, what is forbidden is leased no longer
            draft = await asyncio.to_thread(self._publisher.draft, self._documents, facts)
            try:
                await self._disk(self._publisher.commit, draft, self._durable)
            except Unavailable:
                if (
                    draft.documents.roots == self._documents.roots
                ):  # the register has it: no full disk holds up a recall
                    self._documents = replace(self._documents, recall=draft.documents.recall)
                raise
            self._durable = draft.documents
            self._use(draft, facts)

    def _use(self, draft: Draft, facts: Facts) -> None:
        if draft.documents.roots != self._documents.roots or not self._signers:
            self._leases.forget()
        roster = signing.roster_of(draft.documents.roots[-1])
        self._signers = {role: self._publisher.signers(roster, role) for role in ("cell", "conductor")}
        self._documents, self._signed = draft.documents, _listed(draft.documents)
        refused = tuple(f"{name} was refused: {why}" for name, why in draft.refused.items())
        self._notes = (*draft.notes, *refused)
        for note in self._notes:
            logger.warning("release-documents", note=note, releases=len(facts.releases))


def _listed(documents: Documents) -> dict[str, Target]:
    """Every signed file by path. The documents are ours and verified."""
    found: dict[str, Target] = {}
    for role, prefix in (("targets", ""), (CONTENT, "content/")):
        if text := getattr(documents, role):
            found |= metadata.targets_of(parse(text, "targets", TARGETS_BYTES_MAX), prefix).files
    return found


def _require_document(name: str, text: str) -> None:
    try:
        parse(text, "targets" if name == CONTENT else name, TARGETS_BYTES_MAX)
    except Distrust as e:
        raise BadMetadata(f"{name}: {e.text}") from None


def _role(release: Release) -> str:
    return CONTENT if release.product == CONTENT else "targets"


def _new(said: About, sha256: str, length: int, principal: Principal, notes: str, now_ms: int) -> Release:
    return Release(
        said.product, said.version, said.sequence, said.platform, decide.path_of(said), sha256, length, now_ms,
        principal.name, principal.tenant_id, notes[:REASON_CHARS_MAX],
    )  # fmt: skip


def _situation(release: Release) -> str:
    return f"recalled at {release.recalled_ms}" if release.recalled_ms else "not recalled"
