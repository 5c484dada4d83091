"""Takeover cases over HTTP, and a person's word on them."""

import msgspec
import pytest

from monitor.api.auth import token_sha256
from monitor.model.endpoints import IngestKey
from monitor.model.records import CaseResolved, ChannelSteered, ClaimAnswered
from monitor.model.rules import RuleSet
from monitor.model.settings import ChannelSettings
from monitor.model.times import MINUTE_MS
from tests.unit.api.serving import SETTINGS, MemoryService, ask, serving
from tests.unit.api.test_orders import event

ANN = IngestKey("ann", token_sha256("dm_ann"), ("read", "operate"))
ORDERS = ("o1", "o2", "o3")


def stuck(*, mode: str = "advise", has_shop: bool = False) -> MemoryService:
    """Three orders waited for six minutes, a minute apart, so each has a case."""
    fallback = msgspec.structs.replace(SETTINGS.fallback, mode=mode, has_shop=has_shop)
    service = MemoryService(msgspec.structs.replace(SETTINGS, fallback=fallback))
    for number, order_id in enumerate(ORDERS):
        service.take(event("order.paid", order_id, -60 * number, amount_minor=100))
        service.wait(MINUTE_MS)
    for _ in range(6):
        service.wait(MINUTE_MS)
    return service


def case_of(service: MemoryService, order_id: str) -> str:
    """The id of an order's case."""
    case = service.engine.shard.orders[order_id].case
    assert case is not None
    return case.takeover_id


async def test_cases_are_listed_latest_first_page_by_page() -> None:
    """Each once; `next` ends with null."""
    async with serving(service=stuck()) as server:
        whole = (await ask(server, "/v1/takeovers", token=None)).body
        assert [one["order_id"] for one in whole["takeovers"]] == ["o3", "o2", "o1"]
        assert whole["next"] is None
        first = (await ask(server, "/v1/takeovers?limit=2")).body
        rest = (await ask(server, f"/v1/takeovers?limit=2&cursor={first['next']}")).body
        assert [one["order_id"] for one in first["takeovers"] + rest["takeovers"]] == [
            "o3", "o2", "o1",
        ]  # fmt: skip
        assert rest["next"] is None


async def test_one_case_is_told_with_its_order() -> None:
    """The order's own page names the same case."""
    service = stuck()
    takeover_id = case_of(service, "o1")
    async with serving(service=service) as server:
        case = (await ask(server, f"/v1/takeovers/{takeover_id}", token=None)).body
        assert (case["id"], case["order_id"], case["state"]) == (takeover_id, "o1", "advised")
        assert (await ask(server, "/v1/orders/o1")).body["takeover"] == case
        assert (await ask(server, "/v1/takeovers/nobody")).status == 404


@pytest.mark.parametrize(
    ("resolution", "state", "result"),
    [
        ("delivered", "delivered", "closed_by_person"),
        ("refunded", "voided", "refunded"),
        ("alternative", "delivered", "alternative"),
    ],
)
async def test_person_closes_a_case_once(resolution: str, state: str, result: str) -> None:
    """The first word counts; the second is a conflict and leaves no line in the log."""
    service = stuck()
    takeover_id = case_of(service, "o1")
    path = f"/v1/takeovers/{takeover_id}/resolution"
    async with serving(service=service) as server:
        found = await ask(server, path, {"resolution": resolution, "note": "by\tmail"})
        assert (found.status, found.body["state"]) == (200, state)
        assert found.body["resolution"] == result
        given = service.given[-1]
        expected = CaseResolved(takeover_id, resolution, "admin", service.clock.at_ms, "by mail")
        assert given == expected
        again = await ask(server, path, {"resolution": "refunded"})
        assert (again.status, again.body["code"]) == (409, "conflict")
        assert again.body["detail"].endswith("it is closed")
        assert service.given[-1] is given


async def test_case_that_waits_for_an_answer_takes_no_word() -> None:
    """The claim is under way: until the shop answers nobody may say how it ended."""
    service = stuck(mode="enforce", has_shop=True)
    async with serving(service=service) as server:
        path = f"/v1/takeovers/{case_of(service, 'o1')}"
        assert (await ask(server, path)).body["state"] == "claiming"
        found = await ask(server, f"{path}/resolution", {"resolution": "delivered"})
        assert (found.status, found.body["code"]) == (409, "conflict")
        assert found.body["detail"].endswith("it is waiting for an answer")
        assert not isinstance(service.given[-1], CaseResolved)


async def test_word_that_changes_nothing_is_a_conflict() -> None:
    """Nothing was attempted, so there is no attempt that brought nothing."""
    service = stuck()
    async with serving(service=service) as server:
        path = f"/v1/takeovers/{case_of(service, 'o1')}/resolution"
        found = await ask(server, path, {"resolution": "not_delivered"})
        assert (found.status, found.body["code"]) == (409, "conflict")
        assert not isinstance(service.given[-1], CaseResolved)


async def test_case_that_moved_on_meanwhile_is_a_conflict() -> None:
    """The buyer is refunded by the shop while the word is on its way: the word was not taken."""
    service = stuck()
    takeover_id = case_of(service, "o1")

    async def refund() -> None:
        service.take(event("order.refunded", "o1", -900))

    service.before_answer = refund
    async with serving(service=service) as server:
        path = f"/v1/takeovers/{takeover_id}/resolution"
        found = await ask(server, path, {"resolution": "delivered"})
        assert (found.status, found.body["code"]) == (409, "conflict")
        case = (await ask(server, f"/v1/takeovers/{takeover_id}")).body
        assert (case["state"], case["resolution"]) == ("voided", "refunded")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"resolution": "done"}, "/resolution"),
        ({"note": "x"}, "/resolution"),
        ({"resolution": "refunded", "note": "x" * 1_001}, "/note"),
        ({"resolution": "refunded", "reason": "x"}, "/reason"),
    ],
)
async def test_word_nobody_understands_is_refused(body: object, pointer: str) -> None:
    """With a pointer to it."""
    service = stuck()
    async with serving(service=service) as server:
        found = await ask(server, f"/v1/takeovers/{case_of(service, 'o1')}/resolution", body)
        assert (found.status, found.body["errors"][0]["pointer"]) == (400, pointer)


async def test_wrong_word_is_answered_with_the_right_ones() -> None:
    """All four are named."""
    service = stuck()
    async with serving(service=service) as server:
        path = f"/v1/takeovers/{case_of(service, 'o1')}/resolution"
        found = await ask(server, path, {"resolution": "done"})
        for word in ("delivered", "refunded", "alternative", "not_delivered"):
            assert word in found.body["detail"]


def escalated() -> MemoryService:
    """Three orders that people have: the shop did not answer the claims."""
    service = stuck(mode="enforce", has_shop=True)
    for _ in range(12):
        service.wait(MINUTE_MS)
    return service


async def test_claimed_case_shows_who_has_it_and_keeps_others_away() -> None:
    """The queue is the list of escalated cases; a second person is told who was faster."""
    service = escalated()
    path = f"/v1/takeovers/{case_of(service, 'o1')}"
    async with serving(service=service, keys=(ANN,)) as server:
        queue = (await ask(server, "/v1/takeovers?state=escalated")).body["takeovers"]
        assert {one["order_id"] for one in queue} == set(ORDERS)
        claimed = await ask(server, f"{path}/claim", {"minutes": 20})
        assert (claimed.status, claimed.body["holder"]) == (200, "admin")
        late = await ask(server, f"{path}/claim", {}, token="dm_ann")
        assert (late.status, late.body["code"]) == (409, "conflict")
        assert "admin has it until" in late.body["detail"]
        word = {"resolution": "delivered"}
        assert (await ask(server, f"{path}/resolution", word, token="dm_ann")).status == 409
        released = await ask(server, f"{path}/claim", {"release": True})
        assert released.body["holder"] is None
        done = await ask(server, f"{path}/resolution", word, token="dm_ann")
        assert (done.status, done.body["state"]) == (200, "delivered")
        assert [one.action for one in service.audited] == [
            "takeover.claim", "takeover.claim", "takeover.resolution", "takeover.claim",
            "takeover.resolution",
        ]  # fmt: skip


async def test_second_pair_of_eyes_is_another_person() -> None:
    """Above the amount the first word waits; who gave it cannot give the second."""
    service = escalated()
    settings = service.engine.settings
    fallback = msgspec.structs.replace(settings.fallback, four_eyes_above_minor=50)
    service.engine.configure(msgspec.structs.replace(settings, fallback=fallback), RuleSet())
    path, word = f"/v1/takeovers/{case_of(service, 'o1')}/resolution", {"resolution": "delivered"}
    async with serving(service=service, keys=(ANN,)) as server:
        first = await ask(server, path, word)
        assert (first.body["state"], first.body["first_word_of"]) == ("escalated", "admin")
        again = await ask(server, path, word)
        assert (again.status, again.body["code"]) == (409, "conflict")
        second = await ask(server, path, word, token="dm_ann")
        assert (second.body["state"], second.body["resolution"]) == (
            "delivered",
            "closed_by_person",
        )


async def test_word_is_taken_though_the_next_channel_is_paused() -> None:
    """The person had no goods, and the next one may not buy now: the case waits, no conflict."""
    fallback = msgspec.structs.replace(
        SETTINGS.fallback, mode="enforce", has_shop=True, order=("staff", "pool")
    )
    channels = (*SETTINGS.channels, ChannelSettings("pool", kind="stock"))
    service = MemoryService(msgspec.structs.replace(SETTINGS, fallback=fallback, channels=channels))
    service.take(event("order.paid", "o1", 0, amount_minor=100))
    for _ in range(6):
        service.wait(MINUTE_MS)
    takeover_id = case_of(service, "o1")
    claim = service.engine.desk.cases[takeover_id].claim_id
    now_ms = service.clock.at_ms
    service.take(
        ClaimAnswered(f"claim_{claim}", takeover_id, "granted", now_ms, True, "gold", 1, 100)
    )
    service.take(ChannelSteered("pool", "drain", "ann", now_ms))
    async with serving(service=service) as server:
        path = f"/v1/takeovers/{takeover_id}"
        assert (await ask(server, path)).body["state"] == "escalated"
        found = await ask(server, f"{path}/resolution", {"resolution": "not_delivered"})
        assert (found.status, found.body["state"]) == (200, "claimed")
