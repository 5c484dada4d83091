"""Actions of playbooks over HTTP: what waits, and a person's word about it."""

import msgspec
import pytest

from monitor.model.playbooks import Action, OfferStep, PageStep, Playbook, Playbooks
from monitor.model.records import ActionOrdered
from monitor.model.times import MINUTE_MS
from tests.unit.api.serving import SETTINGS, MemoryService, ask, serving
from tests.unit.api.test_orders import event

OFFER = OfferStep(("alternative", "refund", "wait"), 3_600_000, "refund")
LEVEL = Playbook("l3", 1, (PageStep(), OFFER), tier=1, approval_above_minor=1_000, is_dry_run=False)


def playing(*, orders: int = 1, amount_minor: int = 5_000) -> MemoryService:
    """Orders that waited for longer than promised, and a playbook that offers something."""
    service = MemoryService()
    answer(service, orders=orders, amount_minor=amount_minor)
    return service


def answer(service: MemoryService, *, orders: int, amount_minor: int) -> str:
    """Give a service playbooks, and orders they answer; returns the offer of the first."""
    settings = msgspec.structs.replace(
        SETTINGS,
        playbooks=Playbooks(levels=(LEVEL,), batch_above=2),
        shop_takes=("notify", "compensate", "refund"),
    )
    service.engine.configure(settings, service.engine.control.rules)
    for number in range(orders):
        service.take(event("order.paid", f"p{number}", 0, amount_minor=amount_minor))
    for _ in range(16):
        service.wait(MINUTE_MS)
    return offer_of(service, "p0").action_id


def offer_of(service: MemoryService, order_id: str) -> Action:
    actions = service.engine.shard.orders[order_id].actions
    return next(one for one in actions if isinstance(one.step, OfferStep))


async def test_what_waits_is_listed_and_shown_with_its_order() -> None:
    """With what may be said to it; final actions are not under way."""
    service = playing()
    async with serving(service=service) as server:
        found = (await ask(server, "/v1/actions", token=None)).body
        (shown,) = found["actions"]
        assert (shown["order_id"], shown["kind"], shown["state"]) == ("p0", "offer", "waiting")
        assert (shown["reason"], shown["words"]) == ("approval", ["approve", "refuse"])
        assert found["batches"] == []
        order = (await ask(server, "/v1/orders/p0")).body
        assert [one["kind"] for one in order["playbook"]] == ["page", "offer"]
        assert [one["undo"] for one in order["playbook"]] == [
            "close it",
            "until the buyer has chosen",
        ]
        assert (await ask(server, "/v1/actions?state=open")).body["actions"] == []
        assert (await ask(server, "/v1/actions?state=gone")).status == 400


async def test_word_is_taken_once_and_logged_with_who_said_it() -> None:
    """Approved: the offer is before the buyer, whose choice may be told."""
    service = playing()
    path = f"/v1/actions/{offer_of(service, 'p0').action_id}"
    async with serving(service=service) as server:
        found = await ask(server, path, {"decision": "approve", "note": "by\tphone"})
        assert (found.status, found.body["state"]) == (200, "open")
        expected = ActionOrdered(
            offer_of(service, "p0").action_id,
            "approve",
            "admin",
            service.clock.at_ms,
            "p0",
            "by phone",
        )
        assert service.given[-1] == expected
        assert service.audited[-1].reason == "by phone"
        assert (await ask(server, path, {"decision": "approve"})).status == 409
        found = await ask(server, path, {"decision": "wait"})
        assert (found.body["state"], found.body["choice"]) == ("done", "wait")
        assert (await ask(server, path, {"decision": "refund"})).status == 404
        assert service.given[-1].decision == "wait"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"decision": "refund"}, 409),
        ({"decision": "yes"}, 400),
        ({}, 400),
        ({"decision": "close"}, 409),
    ],
)
async def test_word_that_fits_nothing_changes_nothing(body: dict[str, str], status: int) -> None:
    """An offer that waits for approval has no buyer yet who could choose."""
    service = playing()
    async with serving(service=service) as server:
        found = await ask(server, f"/v1/actions/{offer_of(service, 'p0').action_id}", body)
        assert found.status == status
        assert not isinstance(service.given[-1], ActionOrdered)
        assert (await ask(server, "/v1/actions/act_none", body or {"decision": "wait"})).status in (
            400,
            404,
        )


async def test_batch_is_approved_with_one_word() -> None:
    """Three orders at once: one word, three offers."""
    service = playing(orders=3)
    async with serving(service=service) as server:
        (batch,) = (await ask(server, "/v1/actions")).body["batches"]
        assert (batch["orders"], batch["amount_minor"], batch["state"]) == (3, 15_000, "waiting")
        found = await ask(server, f"/v1/actions/{batch['id']}", {"decision": "approve"})
        assert found.body["state"] == "approved"
        assert [offer_of(service, f"p{n}").state for n in range(3)] == ["open"] * 3
        assert (
            await ask(server, f"/v1/actions/{batch['id']}", {"decision": "refuse"})
        ).status == 409


async def test_list_comes_in_pages() -> None:
    """Each action once."""
    service = playing(orders=3)
    async with serving(service=service) as server:
        first = (await ask(server, "/v1/actions?limit=2")).body
        rest = (await ask(server, f"/v1/actions?limit=2&cursor={first['next']}")).body
        ids = [one["id"] for one in first["actions"] + rest["actions"]]
        assert len(ids) == len(set(ids)) == 3
        assert rest["next"] is None
