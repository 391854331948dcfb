"""Talking with the cell: which request is authenticated how, and what each answer means.

Messages in, messages or a `Failure` out: no exception leaves here for anything that the world can do. Next:
`transport` (the connection), `protocol.auth` (the exact bytes that are authenticated), `loop` (who calls this).
"""

from __future__ import annotations

from typing import TypeVar

from brakeline.agent.events import Failure, FailureKind
from brakeline.agent.identity import Counter, Identity
from brakeline.agent.transport import Answer, CellUnreachable, Transport
from brakeline.protocol import auth, codec, routes
from brakeline.protocol.messages import (
    CheckIn,
    CheckInReply,
    EnrolReply,
    EnrolRequest,
    Goodbye,
    InventoryAck,
    Problem,
    ResultsAck,
    RunAck,
    Secret,
)

T = TypeVar("T")
RUN_S_MAX = 3.0
GOODBYE_S_MAX = 3.0  # a machine that goes down has no time for us

_KINDS = {
    routes.P_SECRET_EXPIRED: FailureKind.SECRET,
    routes.P_CLOCK_SKEW: FailureKind.SKEW,
    routes.P_REPLAYED: FailureKind.REPLAYED,
    routes.P_CLONED: FailureKind.BARRED,
    routes.P_RETIRED: FailureKind.BARRED,
    routes.P_UNKNOWN_ENDPOINT: FailureKind.BARRED,
    routes.P_BAD_SIGNATURE: FailureKind.BARRED,
}

_PERMANENT = {400, 413, 415, 422}  # said by the cell's own problem: this very body will not do


class Cell:
    """The cell as seen by one endpoint. `endpoint_id` is "" until enrolled."""

    def __init__(
        self, transport: Transport, identity: Identity, counter: Counter, boot_id: str, endpoint_id: str
    ) -> None:
        self._transport = transport
        self._identity = identity
        self._counter = counter
        self._boot_id = boot_id
        self._endpoint_id = endpoint_id
        self._secret = b""

    def enrol(self, request: EnrolRequest, created_ms: int) -> EnrolReply | Failure:
        """Ask to be taken in; proves that we hold the key that the request names."""
        return self._signed(routes.ENROL, codec.encode(request), created_ms, EnrolReply)

    def renew_secret(self, created_ms: int) -> Secret | Failure:
        """A fresh check-in secret, kept here; the caller needs only its end."""
        secret = self._signed(routes.SECRET, b"{}", created_ms, Secret)
        if isinstance(secret, Secret):
            self.use_secret(secret)
        return secret

    def use_secret(self, secret: Secret) -> None:
        self._secret = bytes.fromhex(secret.secret)

    def check_in(self, body: CheckIn, wait_s: int, etag: str) -> tuple[CheckInReply | None, str] | Failure:
        """The reply and its ETag; the reply is None when there is nothing new."""
        target = f"{routes.CHECK_IN}?wait={wait_s}"
        try:
            request = self._request(target, codec.encode(body))
            headers = self._headers(request)
            headers[auth.H_MAC] = auth.mac(self._secret, request)
            if etag:
                headers["if-none-match"] = etag
            answer = self._transport.post(target, request.body, headers, wait_s)
        except (CellUnreachable, OSError) as e:
            return _away(e)
        if answer.status == 304:
            return None, etag
        reply = _read(answer, CheckInReply)
        return reply if isinstance(reply, Failure) else (reply, answer.headers.get("etag", ""))

    def send_inventory(self, body: bytes, created_ms: int) -> InventoryAck | Failure:
        return self._signed(routes.INVENTORY, body, created_ms, InventoryAck)

    def send_results(self, body: bytes, created_ms: int) -> ResultsAck | Failure:
        return self._signed(routes.RESULTS, body, created_ms, ResultsAck)

    def send_run(self, body: bytes) -> RunAck | Failure:
        """A part of a transaction's log. Authenticated like a check-in, and given up soon: nothing depends on it."""
        request = self._request(routes.RUN, body)
        headers = self._headers(request) | {auth.H_MAC: auth.mac(self._secret, request)}
        patience_s = self._transport.answer_s_max
        try:
            self._transport.answer_s_max = RUN_S_MAX
            answer = self._transport.post(routes.RUN, body, headers)
        except (CellUnreachable, OSError) as e:
            return _away(e)
        finally:
            self._transport.answer_s_max = patience_s
        return _read(answer, RunAck)

    def goodbye(self, reason: str, created_ms: int, answer_s_max: float = GOODBYE_S_MAX) -> None:
        """Best effort and short: whoever waits for us to go has other things to do."""
        try:
            self._transport.answer_s_max = answer_s_max
            self._post_signed(routes.GOODBYE, codec.encode(Goodbye(reason)), created_ms)
        except (CellUnreachable, OSError):
            return

    def skip_counter(self) -> None:
        self._counter.skip()

    @property
    def way(self) -> str:
        """How the cell was reached last, in words; "" = not yet."""
        return self._transport.way

    def close(self) -> None:
        self._transport.close()

    def time_has_passed(self, server_ms: int) -> None:
        """The cell says it is this late; older certificates are refused from now on."""
        self._transport.time_floor_ms = max(self._transport.time_floor_ms, server_ms)

    def _request(self, target: str, body: bytes) -> auth.Authenticated:
        return auth.Authenticated("POST", target, body, self._endpoint_id, self._boot_id, self._counter.next())

    def _headers(self, request: auth.Authenticated) -> dict[str, str]:
        return {
            auth.H_ENDPOINT: request.endpoint_id,
            auth.H_BOOT: request.boot_id,
            auth.H_COUNTER: str(request.counter),
            auth.H_DIGEST: auth.content_digest(request.body),
        }

    def _post_signed(self, target: str, body: bytes, created_ms: int) -> Answer:
        request = self._request(target, body)
        created_s, key_id = created_ms // 1000, self._endpoint_id or self._identity.public_hex
        headers = self._headers(request)
        signature = self._identity.sign(auth.signature_base(request, created_s, key_id))
        headers |= auth.signature_headers(created_s, key_id, signature)
        return self._transport.post(target, body, headers)

    def _signed(self, target: str, body: bytes, created_ms: int, kind: type[T]) -> T | Failure:
        try:
            answer = self._post_signed(target, body, created_ms)
        except (CellUnreachable, OSError) as e:
            return _away(e)
        return _read(answer, kind)


def _away(error: Exception) -> Failure:
    return Failure(FailureKind.NETWORK, getattr(error, "code", "disk"), str(error))


def _read(answer: Answer, kind: type[T]) -> T | Failure:
    """A message of `kind` from a 2xx answer, else what went wrong."""
    if 200 <= answer.status < 300:
        try:
            return codec.decode(kind, answer.body)
        except codec.Malformed as e:
            return Failure(FailureKind.REJECTED, "malformed", f"the cell's answer makes no sense: {e}")
    return _problem(answer)


def _problem(answer: Answer) -> Failure:
    retry_after_s = _seconds(answer.headers.get("retry-after", ""))
    theirs = True
    try:
        problem = codec.decode(Problem, answer.body)
    except codec.Malformed:  # a proxy's page, or a server that is not ours
        theirs = False
        problem = Problem(code=f"http-{answer.status}", title=f"HTTP status {answer.status}", status=answer.status)
    kind = _KINDS.get(problem.code, FailureKind.REJECTED)
    if answer.status in (408, 425, 429, 502, 503, 504):
        kind = FailureKind.BUSY
    permanent = kind is FailureKind.REJECTED and theirs and answer.status in _PERMANENT
    detail = " ".join(part for part in (problem.title, problem.detail, problem.hint) if part)
    return Failure(kind, problem.code, detail, retry_after_s, problem.server_ms, permanent)


def _seconds(text: str) -> float:
    """Retry-After in seconds; dates are not used by our server and count as none."""
    return float(text) if text.isdigit() and len(text) < 8 else 0.0
