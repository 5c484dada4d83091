"""The application as a whole: gate in front of everything, limits around everything, one error form."""

import asyncio
import logging

import pytest
from aiohttp import web

from monitor.api.edge import Limits
from monitor.api.routes import ROUTES, Route
from monitor.model.errors import NotFoundError
from tests.unit.api.samples import paid
from tests.unit.api.serving import ADMIN_TOKEN, KEYS, SHOP_TOKEN, client, serving


async def fail(_request: web.Request) -> web.StreamResponse:
    """A handler with a bug whose text holds a secret."""
    raise KeyError("KEY-1234")


async def miss(_request: web.Request) -> web.StreamResponse:
    """A handler that does not find it."""
    raise NotFoundError("no order 'x'", hint="see /v1/orders")


async def move(_request: web.Request) -> web.StreamResponse:
    """A handler that redirects."""
    raise web.HTTPSeeOther("/livez")


ODD = (
    *ROUTES,
    Route("GET", "/v1/fail", None, fail),
    Route("GET", "/v1/miss", None, miss),
    Route("GET", "/v1/move", None, move),
    Route("POST", "/v1/steer", "operate", move),
)


async def test_unexpected_error_is_a_500_that_tells_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither answer nor log repeat the text; the log says where, under a constant name."""
    async with (
        serving(routes=ODD) as server,
        client(server) as session,
        session.get("/v1/fail") as answer,
    ):
        body = await answer.text()
        assert (answer.status, answer.content_type) == (500, "application/problem+json")
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert record.getMessage() == "http_request_failed"
    assert record.__dict__["fields"]["error"] == "KeyError"
    assert record.__dict__["fields"]["route"] == "/v1/fail"
    assert "test_server.py" in record.__dict__["fields"]["raised_at"][-1]
    assert "KEY-1234" not in body + str(record.__dict__)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/v1/events", 405, "method_not_allowed"),
        ("GET", "/v1/miss", 404, "not_found"),
        ("POST", "/v1/steer", 401, "unauthorized"),
    ],
)
async def test_every_error_is_a_problem(method: str, path: str, status: int, code: str) -> None:
    """Also those that aiohttp raises; headers that belong to the status are kept."""
    async with (
        serving(routes=ODD) as server,
        client(server) as session,
        session.request(method, path) as answer,
    ):
        body = await answer.json(content_type="application/problem+json")
        assert (answer.status, body["status"], body["code"]) == (status, status, code)
        assert ("Allow" in answer.headers) == (status == 405)
        assert ("WWW-Authenticate" in answer.headers) == (status == 401)


async def test_redirect_passes() -> None:
    """A redirect is no error."""
    async with serving(routes=ODD) as server, client(server, ADMIN_TOKEN) as session:
        async with session.get("/v1/move", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/livez")
        async with session.post("/v1/steer", allow_redirects=False) as answer:
            assert answer.status == 303


async def test_answers_carry_security_headers() -> None:
    """On success and on failure; the server does not tell what it is made of."""
    async with serving() as server, client(server) as session:
        for path in ("/livez", "/nowhere"):
            async with session.get(path) as answer:
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert answer.headers["Server"] == "delivery-monitor"


async def test_probes_answer_without_token_and_say_when_not_ready() -> None:
    """Alive and ready are different questions."""
    async with serving(keys=KEYS) as server, client(server) as session:
        for path in ("/livez", "/-/healthy", "/readyz", "/-/ready"):
            async with session.get(path) as answer:
                assert answer.status == 200
        server.service.is_ready = False
        async with session.get("/readyz?verbose") as answer:
            assert answer.status == 503
            assert await answer.json() == {"ready": False, "facts": {"store": "ok"}}
        async with session.head("/livez") as answer:
            assert answer.status == 200


async def test_keys_close_the_door_and_tokens_open_it() -> None:
    """The key's source becomes the source of events that name none."""
    async with serving(keys=KEYS) as server:
        async with client(server) as session:
            async with session.post("/v1/events", json=paid()) as answer:
                assert answer.status == 401
            async with session.get("/v1/stream") as answer:
                assert answer.status == 401
        async with client(server, SHOP_TOKEN) as session:
            async with session.post("/v1/events", json=paid()) as answer:
                assert answer.status == 202
            async with session.get("/v1/stream") as answer:
                assert answer.status == 403
        assert [event.source for event in server.service.events] == ["shop"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"X-Forwarded-For": "203.0.113.9"}, 401),
        ({"Forwarded": "for=203.0.113.9"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Authorization": "Bearer dm_wrong"}, 401),
    ],
)
async def test_open_loopback_is_closed_to_proxies_and_browsers(
    headers: dict[str, str], status: int
) -> None:
    """What reaches loopback from elsewhere is not local; nothing of it is stored."""
    async with serving() as server, client(server) as session:
        async with session.post("/v1/events", json=paid(), headers=headers) as answer:
            assert answer.status == status
        assert len(server.service.events) == (1 if status == 202 else 0)


async def test_host_is_checked_where_there_is_no_route_too() -> None:
    """A rebound name learns nothing, not even which paths exist."""
    async with serving() as server, client(server) as session:
        for path in ("/livez", "/nowhere"):
            async with session.get(path, headers={"Host": "evil.example"}) as answer:
                assert answer.status == 403


@pytest.mark.parametrize(
    "start", [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: "]
)
async def test_half_a_request_head_is_closed_at_the_idle_limit(start: bytes) -> None:
    """Silence and half a header end with the connection, without an answer."""
    async with serving(limits=Limits(idle_s=0.1)) as server:
        assert await server.raw(start) == b""


@pytest.mark.parametrize(
    "head",
    [
        b"".join(b"X-%d: y\r\n" % number for number in range(70)),
        b"X-Long: " + b"y" * 9_000 + b"\r\n",
        b"Host: localhost\r\n",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
    ],
)
async def test_too_many_or_ambiguous_headers_are_a_400(head: bytes) -> None:
    """70 headers, 9 kB in one, two hosts, two lengths: closed without reaching a handler."""
    async with serving() as server:
        raw = await server.raw(b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n")
        assert raw.split()[1] == b"400"


@pytest.mark.parametrize("path", [b"/v1/events", b"/nowhere"])
async def test_expectation_that_is_no_text_is_a_400(path: bytes) -> None:
    """The framework repeats the header in its answer and cannot encode it."""
    async with serving() as server:
        head = b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n" % path
        raw = await server.raw(head + b"Expect: \x93\x9a\r\n\r\n")
        assert raw.split()[1] == b"400"


async def test_malformed_request_leaves_no_header_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A parser's complaint quotes the line, which may be the one with the token."""
    async with serving() as server:
        raw = await server.raw(
            b"GET /livez HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer dm_token\x01\r\n\r\n"
        )
        assert raw.split()[1] == b"400"
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert record.getMessage() == "http_request_malformed"
    assert record.__dict__["fields"] == {"error": "BadHttpMessage", "requests": 1}
    assert "dm_token" not in caplog.text + str(record.__dict__)


async def test_new_gate_decides_from_the_next_request_on() -> None:
    """A reload of the keys needs no restart."""
    async with serving() as server, client(server) as session:
        async with session.post("/v1/events", json=paid()) as answer:
            assert answer.status == 202
        async with serving(keys=KEYS) as other:
            server.edge.gate = other.edge.gate
        async with session.post("/v1/events", json=paid()) as answer:
            assert answer.status == 401


async def test_request_under_way_is_finished_before_the_end() -> None:
    """A shutdown lets an event that is being stored get its answer."""
    started, release = asyncio.Event(), asyncio.Event()

    async def wait(_request: web.Request) -> web.StreamResponse:
        started.set()
        await release.wait()
        return web.Response(text="done")

    routes = (Route("GET", "/wait", None, wait),)
    async with serving(routes=routes) as server, client(server) as session:
        answer = asyncio.create_task(session._request("GET", "/wait"))
        await started.wait()
        stopping = asyncio.create_task(server.stop())
        await asyncio.wait([stopping], timeout=0.05)
        assert not stopping.done()
        release.set()
        async with await answer as response:
            assert await response.text() == "done"
        await stopping
