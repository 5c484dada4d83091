"""Orders over HTTP: one, many, and before buying."""

import msgspec
import pytest

from monitor.model.events import OrderEvent
from monitor.model.times import HOUR_MS, MINUTE_MS, SECOND_MS
from tests.unit.api.samples import RECEIVED_MS
from tests.unit.api.serving import SETTINGS, Answered, MemoryService, Server, ask, serving


def event(kind: str, order_id: str, ago_s: float, **fields: object) -> OrderEvent:
    """An event so many seconds before the clock's start."""
    at_ms = RECEIVED_MS - round(ago_s * SECOND_MS)
    return OrderEvent(kind, order_id, "shop", f"{order_id}-{kind}", at_ms, at_ms, **fields)  # type: ignore[arg-type]  # by name


def shop() -> MemoryService:
    """At 02:01:00: w1 waits for 30 s, w2 for 50 s, late for 200 s; good and refunded are done."""
    service = MemoryService()
    service.take(
        event("order.paid", "w1", 30, channel="auto", sku="game"),
        event("order.paid", "w2", 50, channel="B"),
        event("order.paid", "late", 200, channel="auto"),
        event("order.paid", "good", 100, channel="auto", sku="game"),
        event("delivery.delivered", "good", 90, channel="auto"),
        event("order.paid", "back", 70, channel="auto"),
        event("order.refunded", "back", 60),
        event("order.created", "browsing", 5),
    )
    return service


def ids(found: Answered) -> list[str]:
    """The ids of a list, as listed."""
    return [order["order_id"] for order in found.body["orders"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=open", ["late", "w2", "w1"]),
        ("state=late", ["late"]),
        ("state=delivered", ["good"]),
        ("state=failed", ["back"]),
        ("", ["w1", "w2", "back", "good", "late"]),
        ("state=open&channel=auto", ["late", "w1"]),
        ("sku=game", ["w1", "good"]),
        ("state=open&channel=nobody", []),
    ],
)
async def test_orders_are_listed_by_state(query: str, expected: list[str]) -> None:
    """Waiting ones by time to breach, others latest first; unpaid ones are no orders yet."""
    async with serving(service=shop()) as server:
        found = await ask(server, f"/v1/orders?{query}", token=None)
        assert found.status == 200
        assert ids(found) == expected
        assert found.body["next"] is None


async def test_line_of_a_list_says_how_long_until_the_breach() -> None:
    """Paid 30 s ago with 3 min promised: 150 s are left; the late one is 20 s over."""
    async with serving(service=shop()) as server:
        found = await ask(server, "/v1/orders?state=open")
        lines = {line["order_id"]: line for line in found.body["orders"]}
        assert (lines["w1"]["age_s"], lines["w1"]["breach_in_s"]) == (30.0, 150.0)
        assert (lines["late"]["breach_in_s"], lines["late"]["verdict"]) == (-20.0, "late_pending")
        assert lines["w1"]["paid_at"] == "2026-01-05T02:00:30Z"


async def walk(server: Server, path: str, name: str) -> list[str]:
    """All ids of a list, page by page."""
    seen, cursor = [], ""
    while True:
        found = await ask(server, path + cursor)
        seen += [item["order_id"] for item in found.body[name]]
        if found.body["next"] is None:
            return seen
        cursor = "&cursor=" + found.body["next"]


@pytest.mark.parametrize("state", ["open", "all"])
async def test_pages_hold_every_order_once(state: str) -> None:
    """Seven orders, two paid in the same millisecond, pages of two."""
    service = MemoryService()
    for number in range(7):
        service.take(event("order.paid", f"o{number}", 10 * (number // 2)))
    async with serving(service=service) as server:
        whole = ids(await ask(server, f"/v1/orders?state={state}"))
        assert len(whole) == 7
        assert await walk(server, f"/v1/orders?state={state}&limit=2", "orders") == whole


async def test_page_goes_on_behind_an_order_that_left_the_list() -> None:
    """The last one shown is delivered in between: the next page neither repeats nor skips."""
    service = shop()
    async with serving(service=service) as server:
        first = await ask(server, "/v1/orders?state=open&limit=1")
        assert ids(first) == ["late"]
        service.wait(MINUTE_MS)
        service.take(event("delivery.delivered", "late", -60))
        second = await ask(server, f"/v1/orders?state=open&limit=1&cursor={first.body['next']}")
        assert ids(second) == ["w2"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("state=opne", "state"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("limit=%D9%A3", "limit"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%E2%82%AC", "cursor"),
        ("cursor=WzFd", "cursor"),
        ("channel=" + "x" * 201, "channel"),
    ],
)
async def test_wrong_query_value_is_named(query: str, name: str) -> None:
    """The problem leads to the parameter."""
    async with serving(service=shop()) as server:
        found = await ask(server, f"/v1/orders?{query}")
        assert (found.status, found.body["code"]) == (400, "bad_query")
        assert [one["pointer"] for one in found.body["errors"]] == [f"/query/{name}"]


async def test_wrong_state_is_answered_with_the_right_one() -> None:
    """A slip of the finger gets a suggestion."""
    async with serving(service=shop()) as server:
        found = await ask(server, "/v1/orders?state=opne")
        assert found.body["hint"] == "did you mean 'open'?"


async def test_order_tells_its_story() -> None:
    """Facts, verdict, timeline and prospect of one order that waits."""
    async with serving(service=shop()) as server:
        found = await ask(server, "/v1/orders/w1")
        order = found.body
        assert (found.status, order["order_id"], order["state"]) == (200, "w1", "paid")
        assert (order["channel"], order["verdict"], order["age_s"]) == ("auto", "undecided", 30.0)
        assert (order["promise_s"], order["tier"], order["takeover"]) == (180.0, None, None)
        assert [one["type"] for one in order["timeline"]] == ["order.paid"]
        assert order["eta"]["promised_at"] == "2026-01-05T02:03:30Z"
        assert (order["eta"]["confidence"], order["eta"]["reason"]) == ("low", "few_data")
        assert order["eta"]["p50_at"] is None


async def test_order_that_left_memory_is_found() -> None:
    """It is read from the store and stays there."""
    service = shop()
    service.stored["old"] = msgspec.structs.replace(
        service.engine.shard.orders["good"], order_id="old"
    )
    async with serving(service=service) as server:
        found = await ask(server, "/v1/orders/old")
        assert (found.status, found.body["verdict"], found.body["eta"]) == (200, "good", None)
        assert "old" not in service.engine.shard.orders


@pytest.mark.parametrize("order_id", ["a/b", "a b", "订单", "50%", "{x}", "a+b"])
async def test_order_id_may_hold_any_character(order_id: str) -> None:
    """Percent-encoded as a client does it, a slash included."""
    from urllib.parse import quote

    service = MemoryService()
    service.take(event("order.paid", order_id, 1))
    async with serving(service=service) as server:
        found = await ask(server, f"/v1/orders/{quote(order_id, safe='')}")
        assert (found.status, found.body["order_id"]) == (200, order_id)


async def test_unknown_order_is_a_404() -> None:
    """As a problem, without repeating the id."""
    async with serving(service=shop()) as server:
        found = await ask(server, "/v1/orders/nobody")
        assert (found.status, found.body["code"]) == (404, "not_found")
        assert found.headers["Content-Type"] == "application/problem+json"


async def test_quote_counts_deliveries_and_orders_in_flight() -> None:
    """Of sku game one was delivered in 10 s and one waits; the channel B only has one that waits."""
    async with serving(service=shop()) as server:
        found = (await ask(server, "/v1/quote?sku=game", token=None)).body
        assert (found["n"], found["promise_s"]) == (2, 180.0)
        assert found["p50_s"] == pytest.approx(10, rel=0.02)
        assert (await ask(server, "/v1/quote?channel=B")).body["p50_s"] is None


async def test_quote_promises_what_the_speed_promises() -> None:
    """A configured speed is known; another one is a mistake."""
    promise = msgspec.structs.replace(SETTINGS.promise, by_speed={"overnight": 12 * HOUR_MS})
    service = MemoryService(msgspec.structs.replace(SETTINGS, promise=promise))
    async with serving(service=service) as server:
        found = await ask(server, "/v1/quote?speed=overnight")
        assert found.body["promise_s"] == 43_200.0
        assert (await ask(server, "/v1/quote?speed=express")).body["promise_s"] == 180.0
        wrong = await ask(server, "/v1/quote?speed=overnite")
        assert (wrong.status, wrong.body["hint"]) == (400, "did you mean 'overnight'?")
