"""The agent plane: raw ASGI for `/agent/v1/*`, msgspec straight into the protocol's dataclasses.

One function a route, no framework in between: a check-in costs tens of microseconds (ADR 0004). Order of every
request: size, authentication, replay, meaning. Errors are `messages.Problem`. Inventory and results are answered
after commit. `agent_auth` checks who speaks, `exchange` knows what to answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import msgspec
import structlog

from brakeline.core.clock import Clock
from brakeline.core.errors import BrakelineError, Fault, NotFound, Unavailable
from brakeline.core.limits import (
    AGENT_BODY_BYTES_MAX,
    CHECK_IN_BODY_BYTES_MAX,
    LONG_POLL_S_MAX,
    RUN_PART_BYTES_MAX,
)
from brakeline.fleet.faults import SecretExpired
from brakeline.fleet.model import EndpointIdentity
from brakeline.fleet.service import FleetService
from brakeline.fleet.sessions import Session
from brakeline.protocol import routes
from brakeline.protocol.auth import Authenticated
from brakeline.protocol.codec import Malformed, encode
from brakeline.protocol.messages import (
    CheckIn,
    EnrolRequest,
    Goodbye,
    Inventory,
    Problem,
    Results,
    ResultsAck,
    RunAck,
    RunPart,
    TransactionResult,
)
from brakeline.server.agent_auth import Headers, outdated_mac, read_request, verify_mac, verify_signature
from brakeline.server.exchange import Exchange

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
T = TypeVar("T")

POLLS_MAX: Final = 20_000  # held TLS connections take about 43 KiB each: 0.9 GiB
WRITES_MAX: Final = 64  # inventories, results, enrolments at once; more wait for the database longer than agents do
RUNS_MAX: Final = 8  # of these run logs: they wait for everything else
RETRY_AFTER_S: Final = 10  # agents add their own jitter
ENROL_BODY_BYTES_MAX: Final = 64 * 1024
RUN_BODY_BYTES_MAX: Final = 2 * RUN_PART_BYTES_MAX  # escapes may double a text

_decoders: dict[type, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (CheckIn, EnrolRequest, Inventory, Results, Goodbye, RunPart)
}
log = structlog.get_logger("brakeline.agent_plane")


class ResultSink(Protocol):
    """Where results go: committed when it returns."""

    async def record_results(
        self, identity: EndpointIdentity, results: tuple[TransactionResult, ...]
    ) -> ResultsAck: ...


class RunSink(Protocol):
    """Where run logs go: committed when it returns."""

    async def take(self, identity: EndpointIdentity, part: RunPart) -> RunAck: ...


class TooLarge(Fault):
    """The body is larger than this route takes."""

    code, status = "too-large", 413


class TooBusy(Unavailable):
    """The server has as much to do as it can."""

    code = "too-busy"
    hint = "Try again after the time that Retry-After names, with jitter."


class Gone(Exception):
    """The client went away while it was sending: there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a route gives back."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is done at once; whoever comes beyond it is asked to come again later."""

    polls: int = POLLS_MAX
    writes: int = WRITES_MAX
    runs: int = RUNS_MAX


class AgentPlane:
    """The ASGI application for `/agent/v1/`."""

    def __init__(
        self, fleet: FleetService, exchange: Exchange, results: ResultSink, clock: Clock, limits: Limits | None = None,
        runs: RunSink | None = None,
    ) -> None:  # fmt: skip
        """Without `runs` no run logs are taken, and their route does not exist."""
        self._fleet, self._exchange, self._results, self._clock = fleet, exchange, results, clock
        self._limits = limits or Limits()
        self._writes, self._logging, self._runs = 0, 0, runs
        self._routes: dict[str, tuple[int, Callable[[Scope, Headers, bytes], Awaitable[Answer]]]] = {
            routes.CHECK_IN: (CHECK_IN_BODY_BYTES_MAX, self._on_check_in),
            routes.ENROL: (ENROL_BODY_BYTES_MAX, self._on_enrol),
            routes.SECRET: (ENROL_BODY_BYTES_MAX, self._on_secret),
            routes.INVENTORY: (AGENT_BODY_BYTES_MAX, self._on_inventory),
            routes.RESULTS: (AGENT_BODY_BYTES_MAX, self._on_results),
            routes.GOODBYE: (ENROL_BODY_BYTES_MAX, self._on_goodbye),
        }
        if runs is not None:
            self._routes[routes.RUN] = (RUN_BODY_BYTES_MAX, self._on_run)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            limit, route = self._routes.get(scope["path"], (0, None))
            if route is None or scope["method"] != "POST":
                raise NotFound("The agent plane has no such route", path=scope["path"][:60])
            headers: Headers = dict(scope["headers"])
            answer = await route(scope, headers, await _read_body(receive, headers, limit))
        except BrakelineError as e:
            answer = self._problem(e)
        except Gone:
            return
        except asyncio.CancelledError:
            if self._given_up():
                raise
            answer = self._problem(Unavailable("The server stops; nothing acknowledged is lost."))
        except Exception as e:  # outermost: a defect of ours must answer 500 and leave a trace
            log.exception("agent plane failed", path=scope["path"], error=type(e).__name__)
            answer = self._problem(Fault("The server's log has the details."))
        await _respond(send, answer)

    # --- routes --------------------------------------------------------------------------------------------------

    async def _on_check_in(self, scope: Scope, headers: Headers, body: bytes) -> Answer:
        request = read_request(scope, headers, body)
        session = self._fleet.sessions.known(request.endpoint_id) or await self._fleet.session(request.endpoint_id)
        self._fleet.require_active(session)
        digest = await self._verified(session, request, headers)
        await self._fleet.take(session, request.boot_id, request.counter, digest)
        check_in = _decode(CheckIn, body)
        self._fleet.record_check_in(session, request.boot_id, check_in)
        known = headers.get(b"if-none-match", b"")
        composed = await self._exchange.reply(session, check_in)
        if composed.etag == known and (wait := _wait_s(scope["query_string"])):
            if self._exchange.waiting >= self._limits.polls:
                raise TooBusy("Too many long-polls are held.")
            started = self._clock.monotonic_s()
            while composed.etag == known:
                left = wait - (self._clock.monotonic_s() - started)
                if left <= 0 or not await self._exchange.wait(session, left):
                    break
                self._fleet.require_active(session)
                composed = await self._exchange.reply(session, check_in)
        if composed.etag == known:
            return Answer(b"", 304, ((b"etag", composed.etag),))
        return Answer(self._exchange.body(composed), 200, ((b"etag", composed.etag),))

    async def _on_enrol(self, scope: Scope, headers: Headers, body: bytes) -> Answer:
        request = read_request(scope, headers, body)
        wanted = _decode(EnrolRequest, body)
        try:
            public_key = bytes.fromhex(wanted.public_key)
        except ValueError:
            public_key = b""
        if len(public_key) != 32 or request.endpoint_id:
            raise Malformed("public_key is 32 bytes in hex, and an enrolling machine has no endpoint id yet")
        digest = verify_signature(public_key, (wanted.public_key,), request, headers, self._clock.now_ms())
        with self._writing():
            reply = await self._fleet.enrol(wanted, public_key, request.boot_id, request.counter, digest)
        return Answer(encode(reply), 201)

    async def _on_secret(self, scope: Scope, headers: Headers, body: bytes) -> Answer:
        session, _ = await self._signed(scope, headers, body)
        with self._writing():
            return Answer(encode(await self._fleet.renew_secret(session)))

    async def _on_inventory(self, scope: Scope, headers: Headers, body: bytes) -> Answer:
        session, _ = await self._signed(scope, headers, body)
        with self._writing():
            return Answer(encode(await self._fleet.apply_inventory(session, _decode(Inventory, body))))

    async def _on_results(self, scope: Scope, headers: Headers, body: bytes) -> Answer:
        session, _ = await self._signed(scope, headers, body)
        sent = _decode(Results, body)
        with self._writing():
            await self._fleet.remember(session)
            ack = await self._results.record_results(session.identity, sent.results)
        return Answer(encode(ack))

    async def _on_run(self, scope: Scope, headers: Headers, body: bytes) -> Answer:
        """As a check-in is authenticated: no evidence comes this way, and it comes often."""
        assert self._runs is not None, "else there is no such route"
        request = read_request(scope, headers, body)
        session = self._fleet.sessions.known(request.endpoint_id) or await self._fleet.session(request.endpoint_id)
        self._fleet.require_active(session)
        digest = await self._verified(session, request, headers)
        await self._fleet.take(session, request.boot_id, request.counter, digest)
        part = _decode(RunPart, body)
        if self._logging >= self._limits.runs:
            raise TooBusy("Too many run logs are being written at once.")
        self._logging += 1
        try:
            with self._writing():
                return Answer(encode(await self._runs.take(session.identity, part)))
        finally:
            self._logging -= 1

    async def _on_goodbye(self, scope: Scope, headers: Headers, body: bytes) -> Answer:
        session, request = await self._signed(scope, headers, body)
        said = _decode(Goodbye, body)
        await self._fleet.remember(session)
        await self._fleet.goodbye(session, request.boot_id, said.reason)
        return Answer(b"", 204)

    async def _verified(self, session: Session, request: Authenticated, headers: Headers) -> str:
        """The MAC of a check-in under the present secret. Under a replaced one it is refused, but heard."""
        now_ms = self._clock.now_ms()
        try:
            return verify_mac(session, request, headers, now_ms)
        except SecretExpired:
            digest = outdated_mac(session, request, headers, now_ms)
            if digest is not None:
                await self._fleet.take_outdated(session, request.boot_id, request.counter, digest)
            raise

    async def _signed(self, scope: Scope, headers: Headers, body: bytes) -> tuple[Session, Authenticated]:
        """The session behind a signed request, which is taken once."""
        request = read_request(scope, headers, body)
        session = await self._fleet.session(request.endpoint_id)
        identity = session.identity
        keys = (identity.endpoint_id, identity.public_key.hex())
        digest = verify_signature(identity.public_key, keys, request, headers, self._clock.now_ms())
        self._fleet.require_active(session)
        await self._fleet.take(session, request.boot_id, request.counter, digest)
        return session, request

    # --- plumbing ------------------------------------------------------------------------------------------------

    def _writing(self) -> _Writing:
        if self._writes >= self._limits.writes:
            raise TooBusy("Too many endpoints are being written at once.")
        return _Writing(self)

    def _given_up(self) -> bool:
        """Whether whoever called this request has ended it, and takes no answer any more.

        Two other cancellations end up here, and both are answered: the server stops and this took longer than it waits
        for; or something that this shared with others was ended, and the endpoint has to ask again.
        """
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0 and not self._exchange.ended

    def _problem(self, fault: BrakelineError) -> Answer:
        status = fault.status if isinstance(fault, Fault) else 500
        detail = " ".join(filter(None, (fault.detail, ", ".join(f"{k}={v}" for k, v in fault.context.items()))))
        problem = Problem(fault.code, fault.title, status, detail[:500], fault.hint, self._clock.now_ms())
        headers: tuple[tuple[bytes, bytes], ...] = ((b"content-type", b"application/problem+json"),)
        if status == 503:
            headers += ((b"retry-after", str(RETRY_AFTER_S).encode()),)
        return Answer(encode(problem), status, headers)


class _Writing:
    """Counts one write while it lasts."""

    def __init__(self, plane: AgentPlane) -> None:
        self._plane = plane

    def __enter__(self) -> None:
        self._plane._writes += 1

    def __exit__(self, *_: object) -> None:
        self._plane._writes -= 1


def _decode(kind: type[T], body: bytes) -> T:
    """A message from its bytes; NUL characters, which PostgreSQL cannot hold, are refused here."""
    if b"\\u0000" in body:
        raise Malformed("a text contains a NUL character")
    try:
        message: T = _decoders[kind].decode(body)
    except (ValueError, RecursionError) as e:  # and bytes that are no text
        raise Malformed(str(e)[:200]) from None
    return message


def _wait_s(query: bytes) -> int:
    """`wait` of the query, within bounds; 0 when there is none."""
    if not query.startswith(b"wait="):
        return 0
    digits = query[5:]
    if not digits.isdigit() or len(digits) > 4:
        raise Malformed("wait is a whole number of seconds")
    return min(int(digits), LONG_POLL_S_MAX)


async def _read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    stated = headers.get(b"content-length", b"0")
    if not stated.isdigit() or int(stated) > limit:
        raise TooLarge(f"at most {limit} bytes")
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    body: bytes = message.get("body", b"")
    if len(body) > limit:  # chunked: nothing was stated
        raise TooLarge(f"at most {limit} bytes")
    if not message.get("more_body"):
        return body
    chunks, size = [body], len(body)
    while message.get("more_body"):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise TooLarge(f"at most {limit} bytes")
    return b"".join(chunks)


async def _respond(send: Send, answer: Answer) -> None:
    headers = list(answer.headers)
    if answer.body:
        if answer.status < 400:
            headers.append((b"content-type", b"application/json"))
        headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
