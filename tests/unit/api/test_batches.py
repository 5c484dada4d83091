"""Many late orders at once over HTTP: preview, apply, per-item result, taking it back."""

import msgspec
import pytest

from monitor.core.batches import WAITING_MAX
from monitor.model.batches import BatchOrdered
from monitor.model.times import MINUTE_MS
from tests.unit.api.serving import SETTINGS, MemoryService, ask, serving
from tests.unit.api.test_orders import event


def late(*, takes: tuple[str, ...] = ("notify", "refund"), has_shop: bool = True) -> MemoryService:
    """Three orders of six minutes and one of a minute; nothing happens by itself."""
    fallback = msgspec.structs.replace(
        SETTINGS.fallback, mode="observe", has_shop=has_shop, order=("staff",)
    )
    settings = msgspec.structs.replace(SETTINGS, fallback=fallback, shop_takes=takes)
    service = MemoryService(settings)
    for name in ("o1", "o2", "o3"):
        service.take(event("order.paid", name, 0, amount_minor=100, currency="CNY"))
    for _ in range(5):
        service.wait(MINUTE_MS)
    service.take(event("order.paid", "o4", -290, amount_minor=100, currency="CNY"))
    service.wait(MINUTE_MS)
    return service


async def test_preview_touches_nothing() -> None:
    """Whom, and what the orders are worth."""
    service = late()
    async with serving(service=service) as server:
        given = len(service.given)
        found = (await ask(server, "/v1/batches", {"action": "refund"})).body
        assert found["id"] is None
        assert (found["preview"]["count"], found["preview"]["amount_minor"]) == (3, {"CNY": 300})
        assert [one["order_id"] for one in found["preview"]["orders"]] == ["o1", "o2", "o3"]
        assert len(service.given) == given
        older = {"action": "refund", "older_than": "10m"}
        assert (await ask(server, "/v1/batches", older)).body["preview"]["count"] == 0


async def test_applied_batch_waits_is_told_item_by_item_and_taken_back() -> None:
    """Thirty seconds for second thoughts where nothing can be undone."""
    service = late()
    async with serving(service=service) as server:
        body = {"action": "notify", "apply": True, "reason": "outage of A"}
        made = await ask(server, "/v1/batches", body)
        assert (made.status, made.body["state"], made.body["counts"]) == (
            201,
            "waiting",
            {"waiting": 3},
        )
        (ordered,) = [one for one in service.given if isinstance(one, BatchOrdered)]
        assert (ordered.starts_ms - ordered.at_ms, ordered.actor) == (30_000, "admin")
        path = f"/v1/batches/{made.body['id']}"
        first = (await ask(server, f"{path}?limit=2")).body
        rest = (await ask(server, f"{path}?limit=2&cursor={first['next']}")).body
        names = [one["order_id"] for one in first["items"] + rest["items"]]
        assert (names, rest["next"]) == (["o1", "o2", "o3"], None)
        taken = (await ask(server, f"{path}/cancel", {})).body
        assert (taken["state"], taken["counts"]) == ("cancelled", {"cancelled": 3})
        assert (await ask(server, f"{path}/cancel", {})).status == 409
        (listed,) = (await ask(server, "/v1/batches")).body["batches"]
        assert (listed["id"], listed["items"]) == (made.body["id"], [])
        assert (await ask(server, "/v1/batches/nobody")).status == 404


async def test_takeover_begins_at_once() -> None:
    """A claim can be given back, so nobody has to wait for it."""
    async with serving(service=late()) as server:
        made = (await ask(server, "/v1/batches", {"action": "takeover", "apply": True})).body
        assert (made["state"], made["counts"]) == ("running", {"under_way": 3})
        again = (await ask(server, "/v1/batches", {"action": "takeover"})).body["preview"]
        assert (again["count"], len(again["left_out"])) == (0, 3)
        none = await ask(server, "/v1/batches", {"action": "takeover", "apply": True})
        assert (none.status, none.body["code"]) == (409, "conflict")


async def test_selection_that_changed_is_not_applied() -> None:
    """Orders that nobody saw in the preview are not refunded."""
    service = late()
    async with serving(service=service) as server:
        shown = (await ask(server, "/v1/batches", {"action": "refund"})).body["preview"]
        for _ in range(3):
            service.wait(MINUTE_MS)
        body = {"action": "refund", "apply": True, "selection": shown["selection"]}
        found = await ask(server, "/v1/batches", body)
        assert (found.status, found.body["code"]) == (409, "conflict")
        now = (await ask(server, "/v1/batches", {"action": "refund"})).body["preview"]
        assert now["count"] == 4
        body["selection"] = now["selection"]
        assert (await ask(server, "/v1/batches", body)).status == 201


@pytest.mark.parametrize(
    ("body", "lacking"),
    [
        ({"action": "refund"}, "shop.refund_url"),
        ({"action": "notify"}, "shop.notify_url"),
        ({"action": "retry"}, "a channel of kind shop_retry"),
        ({"action": "takeover"}, "shop.claim_url"),
    ],
)
async def test_action_without_means_names_what_is_not_configured(
    body: dict[str, object], lacking: str
) -> None:
    """Already in the preview."""
    async with serving(service=late(takes=(), has_shop=False)) as server:
        found = await ask(server, "/v1/batches", body)
        assert (found.status, found.body["code"]) == (409, "not_configured")
        assert lacking in found.body["detail"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"action": "explode"}, "/action"),
        ({"action": "refund", "aply": True}, "/aply"),
        ({"action": "refund", "older_than": "soon"}, "/older_than"),
        ({"action": "refund", "apply": True, "undo": "2h"}, "/undo"),
    ],
)
async def test_wrong_field_is_named(body: dict[str, object], pointer: str) -> None:
    """And nothing is ordered."""
    service = late()
    async with serving(service=service) as server:
        found = await ask(server, "/v1/batches", body)
        assert (found.status, found.body["errors"][0]["pointer"]) == (400, pointer)
        assert not [one for one in service.given if isinstance(one, BatchOrdered)]


async def test_same_request_twice_is_one_batch() -> None:
    """By its Idempotency-Key."""
    service = late()
    async with serving(service=service) as server:
        body = {"action": "notify", "apply": True}
        headers = {"Idempotency-Key": "k1"}
        first = await ask(server, "/v1/batches", body, headers=headers)
        second = await ask(server, "/v1/batches", body, headers=headers)
        assert first.body["id"] == second.body["id"]
        assert len([one for one in service.given if isinstance(one, BatchOrdered)]) == 1


async def test_more_batches_than_anybody_can_take_back_are_refused() -> None:
    """A hundred wait for their second thoughts; one that is taken back makes room."""
    service = late()
    now_ms = service.clock.at_ms
    names = [f"bat_{number}" for number in range(WAITING_MAX)]
    service.take(
        *(BatchOrdered(one, "notify", ("o1",), "ann", now_ms, now_ms + MINUTE_MS) for one in names)
    )
    body = {"action": "notify", "apply": True}
    async with serving(service=service) as server:
        refused = await ask(server, "/v1/batches", body)
        assert (refused.status, refused.body["code"]) == (409, "conflict")
        assert (await ask(server, "/v1/batches/bat_7/cancel", {})).status == 200
        assert (await ask(server, "/v1/batches", body)).status == 201
