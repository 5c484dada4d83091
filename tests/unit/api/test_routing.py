"""Where new orders go, over HTTP: the route, switches by hand, and the shop's acknowledgement."""

import msgspec
import pytest

from monitor.model.errors import StorageError
from monitor.model.records import ChannelSteered, SwitchAnswered, SwitchOrdered
from tests.unit.api.samples import RECEIVED_MS
from tests.unit.api.serving import (
    ADMIN_TOKEN,
    KEYS,
    SETTINGS,
    SHOP_TOKEN,
    MemoryService,
    Server,
    ask,
    client,
    serving,
)
from tests.unit.api.test_orders import event

TO_B = {"scope": "*", "weights": {"B": 100}, "reason": "auto is slow"}


async def test_route_is_ranked_and_has_a_tag() -> None:
    """Before the first decision the first channel has everything, under epoch 0."""
    async with serving() as server:
        found = await ask(server, "/v1/route?sku=x&customer_tier=vip&speed=express", token=None)
        assert found.body == {
            "epoch": 0,
            "mode": "observe",
            "ranked": [["auto", 100]],
            "ttl_s": 30,
            "stale_ok_s": 86_400,
            "review": None,
        }
        assert found.headers["ETag"].strip('"')
        assert found.headers["Cache-Control"] == "no-cache"


async def test_route_is_not_sent_again_until_it_changes() -> None:
    """304 for the tag, a weak one, one of several and `*`; a switch makes the tag old."""
    async with serving() as server:
        tag = (await ask(server, "/v1/route")).headers["ETag"]
        for known in (tag, f"W/{tag}", f'"old", {tag}', "*"):
            found = await ask(server, "/v1/route", headers={"If-None-Match": known})
            assert (found.status, found.body, found.headers["ETag"]) == (304, b"", tag)
        for other in ('"other"', "not a tag"):
            assert (await ask(server, "/v1/route", headers={"If-None-Match": other})).status == 200
        await ask(server, "/v1/switches", TO_B)
        found = await ask(server, "/v1/route", headers={"If-None-Match": tag})
        assert (found.status, found.body["epoch"], found.body["ranked"]) == (200, 1, [["B", 100]])


@pytest.mark.parametrize(
    ("query", "name"), [("customer_tier=gold", "customer_tier"), ("speed=quick", "speed")]
)
async def test_route_for_a_kind_of_order_that_does_not_exist_is_refused(
    query: str, name: str
) -> None:
    """A shop that sends nonsense learns it on the first try."""
    async with serving() as server:
        found = await ask(server, f"/v1/route?{query}")
        assert (found.status, found.body["errors"][0]["pointer"]) == (400, f"/query/{name}")


async def test_switch_by_hand_allocates_an_epoch_and_is_remembered() -> None:
    """The answer is the decision itself; the list tells it and whether the shop has answered."""
    async with serving() as server:
        found = await ask(server, "/v1/switches", TO_B)
        decision = found.body
        assert (found.status, decision["epoch"], decision["prev_epoch"]) == (200, 1, 0)
        assert decision["weights"] == {"auto": 0, "B": 100}
        assert decision["previous"] == {"auto": 100, "B": 0}
        assert (decision["mode"], decision["dry_run"]) == ("manual", False)
        assert decision["reason"] == "auto is slow (by admin)"
        assert decision["decided_at"] == "2026-01-05T02:01:00Z"
        listed = (await ask(server, "/v1/switches", token=None)).body
        assert listed["switches"] == [decision]
        current = listed["current"]
        assert (current["decision_id"], current["status"]) == (decision["decision_id"], "pending")
        (given,) = server.service.given
        expected = SwitchOrdered("*", {"B": 100}, "auto is slow", "admin", RECEIVED_MS)
        assert given == expected


async def test_dry_run_says_what_would_be_and_does_nothing() -> None:
    """The decision without an id; route and log stay as they are."""
    async with serving() as server:
        found = await ask(server, "/v1/switches", TO_B | {"dry_run": True})
        assert (found.body["decision_id"], found.body["dry_run"]) == (None, True)
        assert (found.body["epoch"], found.body["weights"]) == (1, {"auto": 0, "B": 100})
        assert server.service.given == []
        assert (await ask(server, "/v1/route")).body["epoch"] == 0
        assert (await ask(server, "/v1/switches")).body["switches"] == []


@pytest.mark.parametrize(
    ("body", "code", "pointer", "hint"),
    [
        ({"weights": {"b": 100}}, "unknown_channel", "/weights/b", "channels are auto, B"),
        ({"weights": {"auti": 1}}, "unknown_channel", "/weights/auti", "did you mean 'auto'?"),
        ({"weights": {"a/b~": 1}}, "unknown_channel", "/weights/a~1b~0", "channels are auto, B"),
        ({"weights": {"staff": 100}}, "unknown_channel", "/weights/staff", "channels are auto, B"),
        ({"weights": {"auto": 0, "B": 0}}, "no_weight", "/weights", None),
        ({"weights": {}}, "no_weight", "/weights", None),
        ({"weights": {"B": -1}}, "bad_field", "/weights", None),
        ({"weights": {"B": 1.5}}, "bad_field", "/weights", None),
        ({"weights": {"B": 1_001}}, "bad_field", "/weights", None),
        ({"weights": {"B": 1}, "scope": "sku"}, "unknown_scope", "/scope", None),
        ({"weights": {"B": 1}, "dryrun": True}, "unknown_field", "/dryrun", "did you mean 'dry_run'?"),
        ({"weights": {"B": 1}, "reason": "x" * 501}, "bad_field", "/reason", None),
        ({}, "missing_field", "/weights", None),
        ([], "bad_field", "", None),
    ],
)  # fmt: skip
async def test_switch_that_makes_no_sense_is_refused(
    body: object, code: str, pointer: str, hint: str | None
) -> None:
    """Nothing is decided, the culprit is named; never to nothing, never by a misspelt word."""
    async with serving() as server:
        found = await ask(server, "/v1/switches", body)
        assert (found.status, found.body["code"]) == (400, code)
        assert [one["pointer"] for one in found.body.get("errors", [{"pointer": ""}])] == [pointer]
        assert hint is None or found.body["hint"] == hint
        assert server.service.given == []


@pytest.mark.parametrize(
    ("raw", "code"), [(b"{", "bad_json"), (b"\xff", "bad_json"), (b"[" * 100_000, "bad_field")]
)
async def test_body_that_is_not_json_is_refused(raw: bytes, code: str) -> None:
    """Half an object, no text, and a tower of brackets."""
    async with (
        serving() as server,
        client(server, ADMIN_TOKEN) as session,
        session.post("/v1/switches", data=raw) as answer,
    ):
        assert answer.status == 400
        assert (await answer.json(content_type=None))["code"] == code


async def test_switch_to_a_drained_channel_is_a_conflict() -> None:
    """Who drained it must take that back first."""
    service = MemoryService()
    service.take(ChannelSteered("B", "drain", "ops", RECEIVED_MS))
    async with serving(service=service) as server:
        found = await ask(server, "/v1/switches", TO_B)
        assert (found.status, found.body["code"]) == (409, "conflict")
        assert (await ask(server, "/v1/switches", {"weights": {"auto": 1, "B": 0}})).status == 200


async def test_switch_that_cannot_be_written_is_a_503() -> None:
    """Nothing is said to be done that is not on the disk."""
    async with serving() as server:
        server.service.trouble = StorageError("the disk is full")
        found = await ask(server, "/v1/switches", TO_B)
        assert (found.status, found.body["detail"]) == (503, "the disk is full")


async def ack(
    server: Server, body: object, decision_id: str, token: str | None = None
) -> tuple[int, str]:
    """Acknowledge and return the HTTP status with the code or the state."""
    found = await ask(server, f"/v1/switches/{decision_id}/ack", body, token=token)
    return found.status, found.body.get("code") or found.body["status"]


async def test_shop_acknowledges_the_current_switch() -> None:
    """With its own key; the answer carries the epoch and closes the command in the outbox."""
    async with serving(keys=KEYS) as server:
        decision_id = (await ask(server, "/v1/switches", TO_B)).body["decision_id"]
        applied = {"status": "applied", "applied_epoch": 1}
        assert await ack(server, applied, decision_id, SHOP_TOKEN) == (200, "applied")
        given = server.service.given[-1]
        assert isinstance(given, SwitchAnswered)
        assert (given.effect_key, given.epoch, given.status) == ("switch_1", 1, "applied")
        count = len(server.service.given)
        assert await ack(server, applied, decision_id, SHOP_TOKEN) == (200, "applied")
        assert len(server.service.given) == count


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"status": "applied", "applied_epoch": 2}, (200, "stale")),
        ({"status": "stale", "applied_epoch": 2}, (200, "stale")),
        # What a shop says to a repeat when its first answer got lost.
        ({"status": "stale", "applied_epoch": 1}, (200, "applied")),
        ({"status": "refused"}, (200, "refused")),
        ({"status": "applied", "applied_epoch": 0}, (409, "conflict")),
        ({"status": "applied"}, (400, "missing_field")),
        ({"status": "done", "applied_epoch": 1}, (400, "bad_field")),
        ({"status": "applied", "applied_epoch": -1}, (400, "bad_field")),
    ],
)
async def test_shop_is_judged_by_the_epoch_it_works_with(
    body: object, expected: tuple[int, str]
) -> None:
    """As with an answer to the webhook: a newer epoch is stale, an older one is not applied yet."""
    async with serving() as server:
        decision_id = (await ask(server, "/v1/switches", TO_B)).body["decision_id"]
        assert await ack(server, body, decision_id) == expected


async def test_ack_of_another_switch_is_a_404() -> None:
    """A superseded one is over: the hint names the current one."""
    async with serving() as server:
        first = (await ask(server, "/v1/switches", TO_B)).body["decision_id"]
        server.service.wait(1_000)
        second = (await ask(server, "/v1/switches", {"weights": {"auto": 100}})).body
        applied = {"status": "applied", "applied_epoch": 1}
        found = await ask(server, f"/v1/switches/{first}/ack", applied)
        assert found.status == 404
        assert second["decision_id"] in found.body["hint"]


async def test_advice_is_listed_but_changes_no_route() -> None:
    """In `advise` a slow channel leads to a decision that only tells."""
    failover = msgspec.structs.replace(SETTINGS.failover, mode="advise")
    service = MemoryService(msgspec.structs.replace(SETTINGS, failover=failover))
    async with serving(service=service) as server:
        for number in range(4):
            service.take(event("order.paid", f"o{number}", 0, channel="auto"))
        for _ in range(20):
            service.wait(5_000)
        found = (await ask(server, "/v1/switches")).body
        assert [one["mode"] for one in found["switches"]] == ["advise"]
        assert found["switches"][0]["weights"] == {"auto": 0, "B": 100}
        assert found["current"]["epoch"] == 0
