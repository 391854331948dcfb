"""A proxy as people write it, which way is tried first, and what is made of every answer."""

from __future__ import annotations

import pytest

from brakeline.protocol import proxy
from brakeline.protocol.proxy import BadProxy, NoWay, Proxy, ProxyRefused, agree, granted, name, parse, reach, ways

OURS = Proxy("proxy.example", 3128, "ann", "s3cret")
BARE = Proxy("proxy.example", 3128)
CELL = "cell.example:8443"
PAST = "directly, not by the proxy proxy.example:3128"


# --- written ----------------------------------------------------------------------------------------------------------


def test_a_proxy_is_understood() -> None:
    assert parse("http://proxy.example:3128") == BARE
    assert parse("HTTP://proxy.example/") == Proxy("proxy.example", 80)
    assert parse("http://ann:s3cret@proxy.example:3128") == OURS
    assert parse("http://ann:s%3A%40%2F%23%C3%A4@10.0.0.1:1").password == "s:@/#ä"
    assert parse("http://ann@10.0.0.1").user == "ann"
    assert (parse("http://[fd00::1]:3128").host, parse("http://[fd00::1]:3128").place) == ("fd00::1", "[fd00::1]:3128")
    assert proxy.read(b'{"proxy": "http://proxy.example:3128"}') == BARE


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "HOST:PORT"), ("proxy:3128", "HOST:PORT"), ("https://p:3128", "TLS to the proxy itself"),
        ("socks5://p:1080", "SOCKS"), ("http://", "behind the port"), ("http://p:3128/pac", "behind the port"),
        ("http://p:3128?x", "behind the port"), ("http://p:x", "a number"), ("http://p:0", "a number"),
        ("http://p:65536", "a number"), ("http://:3128", "a name or an address"), ("http://p q", "%XX"),
        ("http://ä:1", "%XX"), ("http://p\r\nX: y", "%XX"), ("http://a:b%0d%0aX: y@p", "%XX"),
        ("http://a:b%0d%0aX@p", "control character"), ("http://a%3Ab:s3cret@p", "no colon"),
        ("http://:s3cret@p", "has a user"), ("http://a:s3cret/x@p", "%2F"), ("http://a:%ff@p", "UTF-8"),
        ("http://-p", "a name"), ("http://" + "p" * 2000, "%XX"),
    ],
)  # fmt: skip
def test_what_is_no_proxy_says_how_one_is_written(text: str, told: str) -> None:
    with pytest.raises(BadProxy, match=told) as e:
        parse(text)
    assert "s3cret" not in str(e.value)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"proxy": 1}', b'"http://p"', b"\xff", b"[" * 3000])
def test_a_file_that_is_none_says_what_belongs_into_it(raw: bytes) -> None:
    with pytest.raises(BadProxy, match=r'{"proxy": "http://HOST:PORT"}'):
        proxy.read(raw)


def test_a_password_is_never_shown() -> None:
    assert OURS.shown == "http://ann:***@proxy.example:3128"
    assert BARE.shown == "http://proxy.example:3128"
    assert "s3cret" not in f"{OURS!r} {OURS.place} {name(OURS)}"


# --- which way --------------------------------------------------------------------------------------------------------


def test_the_way_that_worked_last_comes_first() -> None:
    assert ways(None, "") == ways(None, name(OURS)) == (None,)
    assert ways(OURS, "") == ways(OURS, name(OURS)) == (OURS, None)
    assert ways(OURS, PAST) == (None, OURS)
    for other in ("by the proxy of-yesterday:80", "directly, not by the proxy of-yesterday:80", "directly"):
        assert ways(OURS, other) == (OURS, None), "a new proxy is asked first"


class Clock:
    def __init__(self) -> None:
        self.s = 100.0

    def now(self) -> float:
        return self.s


def test_a_way_that_hangs_leaves_the_other_half_of_the_time() -> None:
    clock, given = Clock(), []

    def dial(way: proxy.Way, seconds: float) -> str:
        given.append((way, seconds))
        if way is OURS:
            clock.s += seconds
            raise TimeoutError
        return "line"

    assert reach(OURS, "", dial, 8.0, clock.now) == (PAST, "line")
    assert given == [(OURS, 4.0), (None, 4.0)]
    given.clear()
    assert reach(OURS, PAST, dial, 8.0, clock.now) == (PAST, "line")
    assert given == [(None, 4.0)]


def test_a_way_that_is_refused_at_once_leaves_the_other_nearly_all() -> None:
    given = []

    def dial(way: proxy.Way, seconds: float) -> str:
        given.append(seconds)
        if len(given) == 1:
            raise ConnectionRefusedError(111, "Connection refused")
        return "line"

    assert reach(OURS, "", dial, 8.0, Clock().now)[0] == PAST
    assert given == [4.0, 8.0]


def test_where_no_way_leads_there_each_is_told() -> None:
    def dial(way: proxy.Way, _seconds: float) -> str:
        raise ProxyRefused("the proxy says no") if way else TimeoutError("timed out")

    with pytest.raises(NoWay) as e:
        reach(OURS, "", dial, 8.0, Clock().now)
    assert str(e.value) == "the proxy says no; directly: no answer in time"
    assert [type(c) for c in e.value.causes] == [ProxyRefused, TimeoutError]


def test_without_a_proxy_nothing_is_other_than_before() -> None:
    def dial(way: proxy.Way, seconds: float) -> float:
        assert way is None
        if seconds < 1:
            raise ConnectionResetError
        return seconds

    assert reach(None, "", dial, 8.0, Clock().now) == ("directly", 8.0)
    with pytest.raises(ConnectionResetError):
        reach(None, "", dial, 0.5, Clock().now)


# --- what it is asked, and what it answers ----------------------------------------------------------------------------


def test_it_is_told_nothing_but_the_place_and_who_asks() -> None:
    assert proxy.request(BARE, CELL) == b"CONNECT cell.example:8443 HTTP/1.1\r\nHost: cell.example:8443\r\n\r\n"
    assert b"\r\nProxy-Authorization: Basic YW5uOnMzY3JldA==\r\n\r\n" in proxy.request(OURS, CELL)


def test_a_line_stands_once_the_whole_head_is_there() -> None:
    whole = b"HTTP/1.1 200 Connection established\r\nContent-Length: 12\r\n\r\n"
    assert [granted(OURS, CELL, whole[:n]) for n in range(len(whole))] == [False] * len(whole)
    assert granted(OURS, CELL, whole)
    assert granted(OURS, CELL, b"HTTP/1.0 200\r\n\r\n")


@pytest.mark.parametrize(
    ("by", "answer", "told"),
    [
        (OURS, b"HTTP/1.1 407 X\r\n\r\n", "answered 407: it refuses them; check user and password"),
        (BARE, b"HTTP/1.1 407 X\r\nProxy-Authenticate: Basic\r\n\r\n", "it asks for them; check user and"),
        (OURS, b"HTTP/1.1 407 X\r\nPROXY-Authenticate: NTLM\r\n\r\n", "takes no password (Basic)"),
        (OURS, b"HTTP/1.1 407 X\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: Basic\r\n\r\n", "it refuses them"),
        (OURS, b"HTTP/1.1 403 s3cret\r\n\r\n<html>", "403: it does not let anybody through to cell.example:8443"),
        (OURS, b"HTTP/1.1 502 X\r\n\r\n", "answered 502: it does not reach cell.example:8443 itself"),
        (OURS, b"HTTP/1.1 405 X\r\n\r\n", "gives no lines (CONNECT)"),
        (OURS, b"HTTP/1.1 302 X\r\nLocation: http://evil\r\n\r\n", "302: it gives no line to cell.example:8443"),
        (OURS, b"HTTP/1.1 200 OK\r\n\r\n<html>Please sign in", "a sign-in page"),
        (OURS, b"SSH-2.0-x", "what is no HTTP"), (OURS, b"\x15\x03\x01", "what is no HTTP"),
        (OURS, b"HTTP/1.1 xyz\r\n\r\n", "what is no HTTP"), (OURS, b"HTTP/1.1 2000 x\r\n\r\n", "what is no HTTP"),
        (OURS, b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000, "headers of more than 16384 bytes"),
    ],
)  # fmt: skip
def test_every_other_answer_has_its_words(by: Proxy, answer: bytes, told: str) -> None:
    with pytest.raises(ProxyRefused) as e:
        granted(by, CELL, answer)
    assert str(e.value).startswith("the proxy proxy.example:3128 answered ")
    assert told in str(e.value)
    assert "s3cret" not in str(e.value)
    assert "evil" not in str(e.value), "what it says is not passed on"


class Scripted:
    """A line on which these pieces come, a second apart; then silence, or its end."""

    def __init__(self, clock: Clock, *pieces: bytes) -> None:
        self.clock, self.pieces, self.waits, self.sent = clock, list(pieces), [0.0], b""

    def settimeout(self, value: float | None) -> None:
        self.waits.append(value or 0.0)

    def sendall(self, data: bytes) -> None:
        self.sent += data

    def recv(self, _size: int) -> bytes:
        if not self.pieces or self.waits[-1] < 1:
            raise TimeoutError
        self.clock.s += 1
        return self.pieces.pop(0)


def test_the_time_is_one_for_all_that_comes() -> None:
    clock = Clock()
    line = Scripted(clock, *[b"HTTP/1.1 200 OK\r\nX: ", *[b"x"] * 100])
    with pytest.raises(ProxyRefused, match=r"the proxy proxy.example:3128 gave no answer in time"):
        agree(line, BARE, "cell.example", 8443, 5.0, clock.now)
    assert clock.s == 105.0
    assert line.sent == proxy.request(BARE, CELL)


def test_a_line_that_ends_before_the_answer_is_told() -> None:
    with pytest.raises(ProxyRefused, match="closed the connection without an answer"):
        agree(Scripted(Clock(), b"HTTP/1.1 ", b""), BARE, "cell.example", 8443, 5.0, Clock().now)


def test_an_answer_in_pieces_is_read_whole() -> None:
    line = Scripted(Clock(), b"HTTP/1.1 2", b"00 OK\r\n\r", b"\n")
    agree(line, OURS, "fd00::2", 443, 5.0, Clock().now)
    assert line.sent.startswith(b"CONNECT [fd00::2]:443 HTTP/1.1\r\n")
