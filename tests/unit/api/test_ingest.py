"""`POST /v1/events` from outside: what is answered, with which status and headers."""

import gzip
import json
from io import BytesIO
from typing import Any

import pytest
from aiohttp import ClientResponse

from monitor.api.edge import Limits
from monitor.model.errors import CapacityError, InvariantError, MonitorError, StorageError
from tests.unit.api.samples import BATCH, CLOUD, JSON, LINES, TIME, cloud_event, paid
from tests.unit.api.serving import Server, client, serving
from tests.unit.api.test_decode_hostile import HOSTILE


async def post(
    server: Server, body: object, kind: str = JSON, **headers: str
) -> tuple[ClientResponse, dict[str, Any]]:
    """Post a body (bytes as they are, anything else as JSON); return answer and its JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        client(server) as session,
        session.post(
            "/v1/events", data=BytesIO(raw), headers={"Content-Type": kind} | headers
        ) as answer,
    ):
        return answer, await answer.json(content_type=None)


def assert_problem(answer: ClientResponse, body: dict[str, Any], status: int, code: str) -> None:
    """The answer is a problem of RFC 9457 with the parts of the contract."""
    assert (answer.status, body["status"], body["code"]) == (status, status, code)
    assert answer.content_type == "application/problem+json"
    assert body["type"] == f"urn:delivery-monitor:problem:{code}"
    assert body["title"]
    assert body["detail"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (paid(), JSON),
        ([paid()], JSON),
        (cloud_event(), CLOUD),
        ([cloud_event()], BATCH),
        (json.dumps(paid()).encode() + b"\n", LINES),
    ],
)
async def test_event_in_every_format_is_accepted_then_a_duplicate(body: object, kind: str) -> None:
    """The answer counts; repeating the request is harmless."""
    async with serving() as server:
        answer, first = await post(server, body, kind)
        _, second = await post(server, body, kind)
        assert answer.status == 202
        assert first == {"accepted": 1, "duplicates": 0, "rejected": [], "warnings": []}
        assert second == {"accepted": 0, "duplicates": 1, "rejected": [], "warnings": []}
        assert [event.order_id for event in server.service.events] == ["A1"]


async def test_event_in_binary_mode_is_accepted() -> None:
    """Headers of the request carry the attributes."""
    headers = {"ce-type": "order.paid", "ce-id": "e", "ce-subject": "%E5%8D%95", "ce-time": TIME}
    async with serving() as server:
        answer, _ = await post(server, b'{"sku":"S"}', JSON, **headers)
        assert answer.status == 202
        assert [(event.order_id, event.sku) for event in server.service.events] == [("单", "S")]


async def test_part_of_a_batch_is_taken_and_the_rest_explained() -> None:
    """Rejected by us and refused by the engine stand in one list, in the order of the request."""
    async with serving() as server:
        server.service.refused = ("r",)
        batch = [paid(id="r"), paid(), paid(amount_minor="x"), paid(colour=1)]
        answer, body = await post(server, batch)
        assert answer.status == 202
        assert (body["accepted"], body["duplicates"]) == (1, 1)
        assert [(one["index"], one["code"], one["pointer"]) for one in body["rejected"]] == [
            (0, "refused", "/0"),
            (2, "bad_field", "/2/amount_minor"),
        ]
        assert body["warnings"] == ["unknown fields were left out: colour"]


async def test_batch_of_nothing_is_accepted() -> None:
    """Empty is not wrong."""
    async with serving() as server:
        answer, body = await post(server, [])
        assert answer.status == 202
        assert body == {"accepted": 0, "duplicates": 0, "rejected": [], "warnings": []}


async def test_batch_without_one_good_event_is_a_problem_with_pointers() -> None:
    """Status 400, and every culprit with its pointer, code and message."""
    async with serving() as server:
        answer, body = await post(server, [paid(type="order.payed"), paid(quantity=-1)])
        assert_problem(answer, body, 400, "all_rejected")
        assert [(one["pointer"], one["code"]) for one in body["errors"]] == [
            ("/0/type", "unknown_type"),
            ("/1/quantity", "bad_field"),
        ]
        assert "did you mean 'order.paid'" in body["errors"][0]["message"]
        answer, body = await post(server, paid(quantity=-1))
        assert_problem(answer, body, 400, "bad_field")
        assert body["errors"][0]["pointer"] == "/quantity"


@pytest.mark.parametrize("hostile", [body for body, _ in HOSTILE])
async def test_hostile_body_is_a_client_error(hostile: bytes) -> None:
    """Never a 5xx for a body, in any JSON format, also with a charset nobody knows."""
    async with serving() as server:
        for kind in (JSON, CLOUD, BATCH, LINES, "application/json; charset=evil"):
            answer, body = await post(server, hostile, kind)
            assert_problem(answer, body, 400, body["code"])
            assert body["errors"]
        assert server.service.events == []


async def test_unsupported_content_type_is_415() -> None:
    """A form or a missing type is not guessed at."""
    async with serving() as server:
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer, body = await post(server, paid(), kind)
            assert_problem(answer, body, 415, "unsupported_media_type")


async def test_body_over_the_limit_is_413() -> None:
    """One byte over 1 MiB, announced or in chunks; exactly 1 MiB is read."""
    filler = b'{"type":"order.paid","order_id":"A1","id":"e1","reason":"%s"}'
    exact = filler % (b"x" * (1024 * 1024 - len(filler) + 2))
    assert len(exact) == 1024 * 1024
    async with serving() as server:
        answer, body = await post(server, exact)
        assert (answer.status, body["warnings"]) == (202, ["reason was cut to 256 characters"])
        answer, body = await post(server, exact + b" ")
        assert_problem(answer, body, 413, "too_large")
        chunk = b"%x\r\n%s\r\n" % (len(exact), exact)
        head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        raw = await server.raw(
            head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"1\r\n \r\n0\r\n\r\n"
        )
        assert raw.startswith(b"HTTP/1.1 413 ")


async def test_more_than_thousand_events_are_413() -> None:
    """The second limit of a request answers like the first."""
    async with serving() as server:
        answer, body = await post(server, [{}] * 1_001)
        assert_problem(answer, body, 413, "too_many_events")


async def test_gzip_is_read_and_a_bomb_is_not_inflated() -> None:
    """A compressed body has the limit of a plain one; other codings and broken streams are told."""
    async with serving() as server:
        good = gzip.compress(json.dumps(paid()).encode())
        answer, body = await post(server, good, **{"Content-Encoding": "gzip"})
        assert (answer.status, body["accepted"]) == (202, 1)
        bomb = gzip.compress(b" " * 200_000_000, 6)
        answer, body = await post(server, bomb, **{"Content-Encoding": "gzip"})
        assert_problem(answer, body, 413, "too_large")
        for broken in (b"x", good[:-9], good + good):
            answer, body = await post(server, broken, **{"Content-Encoding": "gzip"})
            assert_problem(answer, body, 400, "bad_body")
        for coding in ("br", "deflate", "gzip, gzip"):
            answer, body = await post(server, good, **{"Content-Encoding": coding})
            assert_problem(answer, body, 415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("trouble", "status", "code", "retry_after"),
    [
        (CapacityError("the queue is full", retry_after_s=7), 429, "overloaded", "7"),
        (StorageError("disk full"), 503, "storage", "5"),
        (InvariantError("KEY-1234"), 500, "bug", None),
    ],
)
async def test_trouble_of_the_service_is_told_with_when_to_come_back(
    trouble: MonitorError, status: int, code: str, retry_after: str | None
) -> None:
    """Overload and storage say when to retry; what a bug says stays inside."""
    async with serving() as server:
        server.service.trouble = trouble
        answer, body = await post(server, paid())
        assert_problem(answer, body, status, code)
        assert answer.headers.get("Retry-After") == retry_after
        assert "KEY-1234" not in str(body)


async def test_slow_body_is_given_up_at_the_deadline() -> None:
    """Half a body does not hold its connection longer than the deadline."""
    limits = Limits(body_deadline_s=0.05, lingering_s=0.05)
    async with serving(limits=limits) as server:
        raw = await server.raw(
            b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"type"'
        )
        assert raw.startswith(b"HTTP/1.1 408 ")
        assert b'"code":"timeout"' in raw


KEY = {"Idempotency-Key": "k1"}


async def test_repeated_key_gets_the_first_answer_again() -> None:
    """Accepted then, accepted now, and taken once; without the key it would be a duplicate."""
    async with serving() as server:
        _, first = await post(server, paid(), **KEY)
        answer, second = await post(server, paid(), **KEY)
        assert (answer.status, second) == (202, first)
        assert answer.headers["Idempotent-Replayed"] == "true"
        assert len(server.service.events) == 1
        assert (await post(server, paid()))[1]["duplicates"] == 1


@pytest.mark.parametrize(
    ("kind", "headers"), [(JSON, {"ce-subject": "A2"}), ("application/json; charset=utf-8", {})]
)
async def test_key_of_other_events_is_refused(kind: str, headers: dict[str, str]) -> None:
    """Another body is another request, and so is another attribute in a header."""
    binary = {"ce-type": "order.paid", "ce-id": "e", "ce-subject": "A1", "ce-time": TIME}
    async with serving() as server:
        await post(server, b"{}", JSON, **KEY, **binary)
        for body, more in ((b'{"sku":"S"}', binary), (b"{}", binary | headers)):
            answer, problem = await post(server, body, kind, **KEY, **more)
            assert_problem(answer, problem, 422, "idempotency_key_reused")
        assert [event.order_id for event in server.service.events] == ["A1"]


async def test_key_of_refused_events_is_free_again() -> None:
    """Nothing was taken: the corrected request may go by the same key."""
    async with serving() as server:
        answer, _ = await post(server, {"type": "order.paid"}, **KEY)
        assert answer.status == 400
        answer, found = await post(server, paid(), **KEY)
        assert (answer.status, found["accepted"]) == (202, 1)


async def test_keys_of_events_do_not_push_out_those_of_operators() -> None:
    """A shop sends thousands of events a day; a switch is still done once."""
    async with serving() as server:
        await post(server, paid(), **KEY)
        assert (len(server.edge.event_answers), len(server.edge.answers)) == (1, 0)


async def test_what_was_not_taken_is_counted_for_the_metrics() -> None:
    """Two bad events and a body that is no JSON; an unknown field and one that looks like a key."""
    async with serving() as server:
        odd = paid() | {"colour": "red", "card": "K"}
        await post(server, [odd, {"type": "order.paid"}, {"type": "order.payed"}])
        await post(server, b"{")
        left_out = server.service.left_out
        assert (dict(left_out.rejected), left_out.ignored_fields) == ({"default": 3}, 2)


async def test_ready_answer_is_the_answer_that_aiohttp_would_have_built() -> None:
    """An acknowledgement has the same headers whether its bytes were ready or are put together."""
    async with serving() as server:
        ready, said = await post(server, paid())
        built, _ = await post(server, paid("A2"), **{"Idempotency-Key": "k"})
        assert (ready.status, built.status) == (202, 202)
        assert said == {"accepted": 1, "duplicates": 0, "rejected": [], "warnings": []}
        assert dict(ready.headers) | {"Date": ""} == dict(built.headers) | {"Date": ""}
        closing = await server.raw(
            b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n[]"
        )
        assert b"\r\nConnection: close\r\n" in closing  # ready bytes are for those who stay


async def test_two_ready_answers_leave_on_one_connection_in_their_order() -> None:
    """A connection that stays open is read on behind an answer whose bytes were ready."""
    event = json.dumps(paid()).encode()
    head = (
        b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(event)
    )
    last = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    async with serving() as server:
        answers = await server.raw(head + event + head + event + last)
        assert [b'"accepted":1' in answers, b'"duplicates":1' in answers] == [True, True]
        assert answers.index(b'"accepted":1') < answers.index(b'"duplicates":1')
        assert answers.count(b"HTTP/1.1 ") == 3
