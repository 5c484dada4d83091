"""`POST /hooks/{source}` from outside: who is let in, and what each sender is told."""

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from monitor.api.edge import Limits
from monitor.model.errors import (
    AuthError,
    CapacityError,
    InputError,
    MonitorError,
    OverloadError,
    StorageError,
)
from monitor.model.events import EventType, OrderEvent
from monitor.model.shops import Pushed, RawReply, RawRequest
from tests.schemes import SECRET, adapter, in_base64, mac
from tests.unit.api.serving import Answered, MemoryService, Server, ask, serving

HOOK = "/hooks/main"
YES = b'{"ok":true}'


class Plain:
    """A shop whose body is an order that was paid, and whose proof is a word."""

    def __init__(self) -> None:
        self.seen: list[RawRequest] = []

    def read(self, request: RawRequest) -> Pushed:
        self.seen.append(request)
        if request.header("x-key") != "word":
            raise AuthError("this source did not sign it so", code="bad_signature")
        order = request.body.decode()
        if not order:
            return Pushed((), RawReply(204), ("nothing in it",))
        if order.startswith("<"):
            raise InputError("the body is not JSON", code="bad_json")
        paid = OrderEvent(
            EventType.PAID, order, "main", f"paid@{order}", request.received_ms, request.received_ms
        )
        return Pushed((paid,), RawReply(200, YES, "application/json"))


@asynccontextmanager
async def hooked(limits: Limits | None = None) -> AsyncIterator[tuple[Server, Plain]]:
    """A server to which the shop `main` sends."""
    service, plain = MemoryService(), Plain()
    service.pushes = {"main": plain}
    async with serving(service=service, limits=limits) as server:
        yield server, plain


async def send(
    server: Server, body: bytes, path: str = HOOK, key: str = "word", **headers: str
) -> Answered:
    """Send a body as the shop does."""
    given = {"X-Key": key, "Content-Type": "application/octet-stream", **headers}
    return await ask(server, path, method="POST", raw=body, headers=given, token=None)


async def test_sender_gets_the_very_answer_it_waits_for() -> None:
    """Status, body and type are the adapter's; said again it is a duplicate and answered the same."""
    async with hooked() as (server, _):
        for _ in range(2):
            answer = await send(server, b"A1")
            assert (answer.status, answer.body) == (200, {"ok": True})
            assert answer.headers["Content-Type"].startswith("application/json")
        assert [event.order_id for event in server.service.events] == ["A1"]


async def test_adapter_sees_the_request_as_it_came() -> None:
    """Raw body, raw target, and the headers in their order and case: signatures cover bytes."""
    body = gzip.compress(b"A1", mtime=0)
    async with hooked() as (server, plain):
        answer = await server.raw(
            b"POST /hooks/main?a=%%41&a=b HTTP/1.1\r\nHost: 127.0.0.1\r\nX-B: 1\r\nx-a: \xff\r\n"
            b"X-b: 2\r\nContent-Encoding: gzip\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        assert answer.startswith(b"HTTP/1.1 401 ")
        (seen,) = plain.seen
        assert (seen.method, seen.target, seen.body) == ("POST", "/hooks/main?a=%41&a=b", body)
        assert [pair for pair in seen.headers if pair[0].lower() in ("x-a", "x-b")] == [
            ("X-B", "1"), ("x-a", "\udcff"), ("X-b", "2"),
        ]  # fmt: skip


async def test_wrong_proof_is_401_and_an_unknown_source_404() -> None:
    """Neither leaves anything; the adapter of another source is not asked."""
    async with hooked() as (server, plain):
        wrong = await send(server, b"A1", key="guess")
        assert (wrong.status, wrong.body["code"]) == (401, "bad_signature")
        nobody = await send(server, b"A1", path="/hooks/other")
        assert (nobody.status, nobody.body["code"]) == (404, "not_found")
        assert server.service.events == []
        assert len(plain.seen) == 1


async def test_body_that_no_such_sender_sends_is_400() -> None:
    """Not a fault of ours, so no 5xx."""
    async with hooked() as (server, _):
        answer = await send(server, b"<html>")
        assert (answer.status, answer.body["code"]) == (400, "bad_json")


@pytest.mark.parametrize(
    "trouble",
    [
        StorageError("the disk is full"),
        StorageError("not ready", code="not_ready"),
        OverloadError("too much"),
        CapacityError("the service is shutting down", retry_after_s=5),
    ],
)
async def test_what_may_pass_is_503_with_a_time(trouble: MonitorError) -> None:
    """Some senders take a 4xx for a no for ever; nothing was kept, so it may be said again."""
    async with hooked() as (server, _):
        server.service.trouble = trouble
        answer = await send(server, b"A1")
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        server.service.trouble = None
        assert (await send(server, b"A1")).status == 200


async def test_quota_of_the_source_is_503_here() -> None:
    """A source over its quota is told to come again, not that it was wrong."""
    async with hooked() as (server, plain):
        server.edge.quotas.per_s = {"main": 1}
        statuses = [(await send(server, b"A%d" % number)).status for number in range(13)]
        assert statuses == [200] * 11 + [503] * 2  # a full bucket of 10 goes into debt once
        assert len(plain.seen) == 11


async def test_full_way_refuses_before_the_body_is_read() -> None:
    """As `POST /v1/events` does."""
    async with hooked() as (server, plain):
        place = server.edge.flow.admit(10**9)
        assert (await send(server, b"A1")).status == 503
        assert plain.seen == []
        server.edge.flow.leave(place)
        server.edge.flow.room = 1.0
        assert (await send(server, b"A1")).status == 200
        assert (server.edge.flow.bytes, server.edge.flow.entries) == (0, 0)


async def test_body_over_the_limit_is_413() -> None:
    """One byte more than there may be; the limit itself is fine."""
    async with hooked(Limits(body_bytes_max=64)) as (server, _):
        assert (await send(server, b"A" * 64)).status == 200
        assert (await send(server, b"A" * 65)).status == 413


async def test_body_that_does_not_arrive_is_503() -> None:
    """A slow line is no fault of what is sent."""
    async with hooked(Limits(body_deadline_s=0.05)) as (server, _):
        answer = await server.raw(
            b"POST /hooks/main HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n"
            b"Connection: close\r\n\r\nA1"
        )
        assert answer.startswith(b"HTTP/1.1 503 ")


async def test_look_at_the_address_is_answered() -> None:
    """GET and HEAD say that a source takes requests there, without a proof and without a word more."""
    async with hooked() as (server, plain):
        found = await ask(server, HOOK, token=None)
        assert (found.status, found.body) == (200, b"ok\n")
        assert (await ask(server, HOOK, method="HEAD", token=None)).status == 200
        assert (await ask(server, "/hooks/other", token=None)).status == 404
        assert plain.seen == []


async def test_what_could_not_be_taken_is_counted_and_still_answered() -> None:
    """A warning or a refused event is no reason for the sender to try again for days."""
    async with hooked() as (server, _):
        assert (await send(server, b"")).status == 204
        server.service.refused = ("paid@A1",)
        assert (await send(server, b"A1")).status == 200
        assert server.service.left_out.rejected["main"] == 2


async def test_what_is_wrong_is_told_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever connects a shop sees it in the log; whoever calls all day does not fill it."""
    async with hooked() as (server, _):
        with caplog.at_level(logging.WARNING, "monitor.hooks"):
            for _ in range(5):
                await send(server, b"A1", key="guess")
            await send(server, b"")
            server.service.clock.at_ms += 60_000
            await send(server, b"A1", key="guess")
            await send(server, b"A1", path="/hooks/other", key="guess")
    told = [(one.message, *vars(one)["fields"].values()) for one in caplog.records]
    assert told == [
        ("hook_refused", "main", "bad_signature", 1),
        ("hook_not_understood", "main", "nothing in it", 1),
        ("hook_refused", "main", "bad_signature", 5),
    ]


async def test_webhooks_are_taken_while_the_state_is_rebuilt() -> None:
    """As events are: a sender that tries once must not be told to come again."""
    async with hooked() as (server, _):
        server.service.is_ready = False
        assert (await send(server, b"A1")).status == 200
        assert (await ask(server, "/v1/orders")).status == 503


async def test_burst_of_woocommerce_is_kept_whole() -> None:
    """25 orders at once, five deliveries to one id: every order is there, each once."""
    service = MemoryService()
    service.pushes = {"main": adapter("woocommerce", SECRET)}
    async with serving(service=service) as server:

        async def order(number: int) -> int:
            body = b'{"id":%d,"status":"pending","date_created_gmt":"2026-01-05T02:00:00"}' % number
            headers = {
                "X-WC-Webhook-Resource": "order", "X-WC-Webhook-Event": "created",
                "X-WC-Webhook-Signature": in_base64(mac(body)),
                "X-WC-Webhook-Delivery-ID": f"second-{number // 5}",
            }  # fmt: skip
            return (await send(server, body, **headers)).status

        for _ in range(2):
            statuses = await asyncio.gather(*(order(number) for number in range(25)))
            assert statuses == [200] * 25
    assert sorted(int(event.order_id) for event in service.events) == list(range(25))
