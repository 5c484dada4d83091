"""Plain answers about orders, from stories."""

from typing import Any

import msgspec
import pytest

from monitor.core.views.orders import order_details, order_lines, quote_for
from monitor.model.settings import PromiseTable, Settings
from monitor.testing.scenario import (
    Scenario,
    attempt_failed,
    attempted,
    created,
    delivered,
    failed,
    paid,
    tick,
)


def details(story: Scenario, order_id: str) -> dict[str, Any]:
    order = story.engine.shard.orders[order_id]
    found = msgspec.to_builtins(order_details(story.engine, order, story.now_ms))
    assert isinstance(found, dict)
    return found


def test_details_tell_the_whole_story_of_an_order(scenario: Scenario) -> None:
    """Contract §3, field by field."""
    scenario.at("0s", created("o1")).at("10s", paid("o1", channel="a", sku="gold"))
    scenario.at("20s", attempted("o1", channel="b")).at("30s", attempt_failed("o1", reason="empty"))
    scenario.at("6m", tick())
    found = details(scenario, "o1")
    assert found["state"] == "attempting"
    assert found["channel"] == "b"
    assert found["paid_at"] == "2026-01-01T00:00:10Z"
    assert (found["age_s"], found["promise_s"]) == (350.0, 180.0)
    assert (found["verdict"], found["tier"]) == ("late_pending", "L2")
    assert found["breached_at"] == "2026-01-01T00:03:10Z"
    assert [one["type"] for one in found["timeline"]] == [
        "order.created", "order.paid", "delivery.attempted", "delivery.failed",
    ]  # fmt: skip
    assert [one["state"] for one in found["attempts"]] == ["attempted", "failed"]
    assert found["takeover"] is None


def test_order_with_little_history_gets_no_time_but_a_next_word(scenario: Scenario) -> None:
    """A false range costs more trust than none."""
    scenario.at("0s", paid("o1"))
    eta = details(scenario, "o1")["eta"]
    assert isinstance(eta, dict)
    assert (eta["confidence"], eta["reason"]) == ("low", "few_data")
    assert (eta["p50_at"], eta["p90_at"]) == (None, None)
    assert eta["next_word_at"] == "2026-01-01T00:03:00Z"
    assert eta["promised_at"] == "2026-01-01T00:03:00Z"


def test_eta_is_conditional_on_the_age_already_waited(scenario: Scenario) -> None:
    """Nine of ten came within 10 s, the rest after 100 s: who waits for 30 s is among the rest."""
    for n in range(300):
        slow = n % 10 == 0
        scenario.at(
            f"{n * 30}s", paid(f"d{n}", f"{n * 30 - (100 if slow else 10)}s"), delivered(f"d{n}")
        )
    scenario.at("3h", paid("o1")).at("10830s", tick())
    eta = details(scenario, "o1")["eta"]
    assert isinstance(eta, dict)
    assert eta["confidence"] in ("high", "medium")
    assert "2026-01-01T03:01:36" <= str(eta["p50_at"]) <= "2026-01-01T03:01:44"


def test_finished_order_has_no_eta(scenario: Scenario) -> None:
    """Nothing to wait for; unpaid neither."""
    scenario.at("0s", paid("o1"), created("o2")).at("5s", delivered("o1"))
    assert details(scenario, "o1")["eta"] is None
    assert details(scenario, "o2")["eta"] is None
    assert details(scenario, "o2")["verdict"] == "unpaid"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("open", ["late", "soon", "calm"]),
        ("late", ["late"]),
        ("delivered", ["done"]),
        ("failed", ["lost"]),
    ],
)
def test_lists_are_sorted_by_the_time_to_breach(
    scenario: Scenario, wanted: str, expected: list[str]
) -> None:
    """The most urgent first."""
    scenario.at("0s", paid("late"), paid("done"), paid("lost"), created("unpaid"))
    scenario.at("1s", delivered("done"), failed("lost")).at(
        "100s", paid("calm", promise_ms=900_000)
    )
    scenario.at("150s", paid("soon")).at("200s", tick())
    lines = order_lines(scenario.engine, scenario.now_ms, wanted=wanted)
    assert [line.order_id for line in lines] == expected


def test_quote_names_the_promise_of_what_is_asked_for() -> None:
    """Sku before speed before the default."""
    promise = PromiseTable(by_sku={"gold": 9_000}, by_speed={"express": 60_000})
    engine = Scenario(Settings(promise=promise)).engine
    for sku, speed, expected in (
        ("gold", "express", 9.0),
        ("x", "express", 60.0),
        (None, None, 180.0),
    ):
        quote = quote_for(engine, 0, sku=sku, speed=speed, channel=None)
        assert (quote.promise_s, quote.p50_s, quote.n) == (expected, None, 0)
