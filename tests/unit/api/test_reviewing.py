"""Manual review over HTTP."""

import pytest

from monitor.model.records import ReviewOrdered
from monitor.model.times import HOUR_MS, format_rfc3339
from tests.unit.api.samples import RECEIVED_MS
from tests.unit.api.serving import ask, serving


async def test_review_is_switched_on_and_shown_by_the_route() -> None:
    """Four hours where nobody says until when; other orders are not touched."""
    async with serving() as server:
        asked = {"scope": "sku:gold", "on": True, "reason": "odd\ncallbacks"}
        found = await ask(server, "/v1/review", asked)
        (review,) = found.body["reviews"]
        until_ms = RECEIVED_MS + 4 * HOUR_MS
        assert (found.status, review["scope"], review["until"]) == (
            200, "sku:gold", format_rfc3339(until_ms)
        )  # fmt: skip
        expected = ReviewOrdered("sku:gold", True, "admin", RECEIVED_MS, until_ms, "odd callbacks")
        assert server.service.given == [expected]
        touched = (await ask(server, "/v1/route?sku=gold")).body
        assert (touched["mode"], touched["review"]["actor"]) == ("review", "admin")
        other = (await ask(server, "/v1/route?sku=tin")).body
        assert (other["mode"], other["review"]) == ("observe", None)


async def test_review_is_ended_by_hand_once() -> None:
    """Ending what nobody began is a conflict, not a silent success."""
    async with serving() as server:
        await ask(server, "/v1/review", {"on": True})
        assert (await ask(server, "/v1/review", {"on": False})).body == {"reviews": []}
        found = await ask(server, "/v1/review", {"on": False})
        assert (found.status, found.body["code"]) == (409, "conflict")
        assert (await ask(server, "/v1/review")).body == {"reviews": []}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"on": True, "scope": "skus:gold"}, "/scope"),
        ({"on": True, "until": "tomorrow"}, "/until"),
        ({"on": True, "until": "2026-01-05T18:00:00"}, "/until"),
        ({"on": True, "until": "2020-01-05T18:00:00Z"}, "/until"),
        ({"on": True, "until": "2099-01-05T18:00:00Z"}, "/until"),
        ({"scope": "*"}, "/on"),
    ],
)
async def test_wrong_field_is_named_and_nothing_is_ordered(
    body: dict[str, object], pointer: str
) -> None:
    """A review that cannot end, has ended, or speaks of nothing is refused."""
    async with serving() as server:
        found = await ask(server, "/v1/review", body)
        assert (found.status, found.body["errors"][0]["pointer"]) == (400, pointer)
        assert server.service.given == []


async def test_more_scopes_than_anybody_keeps_in_mind_are_refused() -> None:
    """What is under review already may be extended."""
    async with serving() as server:
        for n in range(100):
            await ask(server, "/v1/review", {"on": True, "scope": f"sku:{n}"})
        found = await ask(server, "/v1/review", {"on": True, "scope": "sku:100"})
        assert (found.status, found.body["code"]) == (409, "conflict")
        assert (await ask(server, "/v1/review", {"on": True, "scope": "sku:7"})).status == 200
