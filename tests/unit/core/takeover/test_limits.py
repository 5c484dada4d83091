"""How many and how valuable takeovers may be."""

from monitor.core.takeover.limits import (
    Spending,
    counted_amount,
    may_open,
    may_spend,
    record_spending,
)
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.testing.scenario import Scenario, paid, tick

HOUR_MS = 3_600_000
SETTINGS = Settings(fallback=FallbackSettings(max_per_hour=2, max_value_per_day_minor=1_000))


def spent(*entries: tuple[str, int, int]) -> Spending:
    history = Spending()
    for takeover_id, at_ms, amount_minor in entries:
        history = record_spending(history, takeover_id, amount_minor, at_ms)
    return history


def test_third_takeover_within_an_hour_is_refused() -> None:
    """Two per hour; the one of an hour ago no longer counts."""
    history = spent(("a", 0, 1), ("b", 1_000, 1))
    assert may_open(history, SETTINGS, 1, HOUR_MS - 1) == "max_per_hour"
    assert may_open(history, SETTINGS, 1, HOUR_MS) is None


def test_value_of_a_day_is_bounded_inclusively() -> None:
    """Exactly the limit is allowed, one minor unit more is not."""
    history = spent(("a", 0, 600))
    later = 2 * HOUR_MS
    assert may_open(history, SETTINGS, 400, later) is None
    assert may_open(history, SETTINGS, 401, later) == "max_value_per_day"
    assert may_open(history, SETTINGS, 401, 24 * HOUR_MS) is None


def test_order_without_an_amount_may_be_claimed_but_not_bought() -> None:
    """The claim costs nothing and brings the amount; without one nothing is spent."""
    assert may_open(Spending(), SETTINGS, None, 0) is None
    assert may_spend(Spending(), SETTINGS, "a", None, 0) == "amount_unknown"


def test_true_amount_is_checked_against_the_other_cases_only() -> None:
    """The case's own entry, made with the event's amount, is replaced and not added."""
    history = spent(("a", 0, 300), ("b", 0, 500))
    assert may_spend(history, SETTINGS, "b", 700, 1) is None
    assert may_spend(history, SETTINGS, "b", 701, 1) == "max_value_per_day"


def test_ledger_corrects_an_amount_and_forgets_after_a_day() -> None:
    """An entry keeps its opening time when its amount is corrected."""
    history = spent(("a", 0, 300), ("b", 5, 500))
    history = record_spending(history, "a", 350, 10)
    assert [(entry.opened_ms, entry.amount_minor) for entry in history.entries] == [
        (0, 350),
        (5, 500),
    ]
    history = record_spending(history, "c", 1, 24 * HOUR_MS)
    assert [entry.takeover_id for entry in history.entries] == ["b", "c"]


def test_amounts_of_another_currency_do_not_use_up_the_value_of_the_day() -> None:
    """50 000 JPY is no 50 000 CNY; an order that names no currency is in ours."""
    found = [counted_amount(SETTINGS, currency, 700) for currency in ("CNY", "cny", None, "JPY")]
    assert found == [700, 700, 700, None]
    fallback = FallbackSettings(
        mode="enforce", order=("pool",), has_shop=True, max_value_per_day_minor=1_000
    )
    story = Scenario(Settings(channels=(ChannelSettings("pool", kind="stock"),), fallback=fallback))
    story.at("0s", paid("yen", amount_minor=50_000, currency="JPY"), paid("o1", amount_minor=900))
    story.at("301s", tick())
    assert {order.case.state for order in story.engine.shard.orders.values() if order.case} == {
        "claiming"
    }
    assert sorted(entry.amount_minor for entry in story.engine.desk.spending.entries) == [0, 900]
