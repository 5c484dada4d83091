"""Hours of an absent shop in virtual time: nothing is lost, and nobody knocks more often than he should."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.relay_sim import HOUR_S, SimShop, run_one_try_each, run_storm

ORDERS = 200


@pytest.mark.parametrize("has_key", [True, False])
def test_gateway_that_calls_once_loses_nothing_while_the_shop_is_down_six_hours(
    tmp_path: Path, has_key: bool
) -> None:
    """Every paid order is processed once, although the relay is started anew twice meanwhile.

    With a key each is known to be paid at once; without one as soon as the shop has accepted it.
    """
    shop, world = run_one_try_each(tmp_path, ORDERS, restarts=2, has_key=has_key)
    assert len(shop.processed) == ORDERS
    assert set(shop.processed.values()) == {1}
    taken = {one.order_id for one in world.told.values() if one.reason == "taken_over"}
    done = {one.order_id for one in world.told.values() if one.outcome == "ok"}
    assert len(taken) == len(done) == ORDERS
    assert {(one.reason, one.outcome, one.meaning) for one in world.told.values()} == {
        ("taken_over", None, "paid" if has_key else "unknown"),
        (None, "ok", "paid"),
    }


@pytest.mark.parametrize("is_hanging", [False, True])
@pytest.mark.parametrize("orders", [1, 10])
def test_storm_of_a_gateway_becomes_a_few_requests(
    tmp_path: Path, is_hanging: bool, orders: int
) -> None:
    """A BEpusdt that repeats every three seconds: twenty requests an hour at most, one at a time."""
    shop = run_storm(
        SimShop(HOUR_S, is_hanging=is_hanging), tmp_path, orders, with_relay=True
    )  # fmt: skip
    assert max(shop.in_hour.values()) <= 20
    assert max(shop.most_at_once.values()) == 1
    assert set(shop.processed.values()) == {1}
    assert len(shop.processed) == orders


def test_storm_without_the_relay_is_what_it_is_said_to_be(tmp_path: Path) -> None:
    """The comparison is a fair one: the simulated gateway sends about 1,200 times an hour."""
    shop = run_storm(SimShop(HOUR_S, is_hanging=True), tmp_path, 1, with_relay=False)
    assert shop.in_hour["o0"] == 1_200
    assert shop.most_at_once["o0"] > 1


def test_slow_shop_processes_each_order_once(tmp_path: Path) -> None:
    """It needs twenty seconds, longer than the gateway waits: one request, one processing."""
    shop = run_storm(SimShop(0, handles_s=20), tmp_path, 10, with_relay=True)
    assert set(shop.processed.values()) == set(shop.requests.values()) == {1}
