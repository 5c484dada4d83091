"""How many and how valuable takeovers may be."""

from monitor.core.takeover.limits import (
    Ledger,
    Spending,
    Spent,
    counted_amount,
    may_open,
    may_spend,
)
from monitor.model.settings import ChannelSettings, FallbackSettings, Settings
from monitor.testing.scenario import Scenario, paid, tick

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
SETTINGS = Settings(fallback=FallbackSettings(max_per_hour=2, max_value_per_day_minor=1_000))


def spent(*entries: tuple[str, int, int]) -> Ledger:
    """A ledger of cases that ended when they were opened."""
    ledger = Ledger()
    for takeover_id, at_ms, amount_minor in entries:
        ledger.record(Spent(takeover_id, at_ms, amount_minor), at_ms)
    return ledger


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
    assert may_open(Ledger(), SETTINGS, None, 0) is None
    assert may_spend(Ledger(), SETTINGS, "a", None, 0) == "amount_unknown"


def test_true_amount_is_checked_against_the_other_cases_only() -> None:
    """The case's own entry, made with the event's amount, is replaced and not added."""
    history = spent(("a", 0, 300), ("b", 0, 500))
    assert may_spend(history, SETTINGS, "b", 700, 1) is None
    assert may_spend(history, SETTINGS, "b", 701, 1) == "max_value_per_day"


def test_ledger_corrects_an_amount_and_forgets_after_a_day() -> None:
    """An entry keeps its opening time when its amount is corrected."""
    ledger = spent(("a", 0, 300), ("b", 5, 500))
    ledger.record(Spent("a", 0, 350), 10)
    assert [(one.opened_ms, one.amount_minor) for one in ledger.spending.entries] == [
        (0, 350),
        (5, 500),
    ]
    assert ledger.value(11) == 850
    ledger.record(Spent("c", DAY_MS, 1), DAY_MS)
    assert [one.takeover_id for one in ledger.spending.entries] == ["b", "c"]
    assert ledger.value(DAY_MS) == 501


def test_case_that_may_still_buy_counts_however_old_it_is() -> None:
    """Else an order submitted after 23 hours would be forgotten an hour later."""
    ledger = Ledger()
    ledger.record(Spent("a", 0, 900, may_buy=True), 0)
    assert may_open(ledger, SETTINGS, 101, 2 * DAY_MS) == "max_value_per_day"
    ledger.record(Spent("a", 0, 900, spent_ms=DAY_MS), DAY_MS + 1)
    assert may_open(ledger, SETTINGS, 101, 2 * DAY_MS - 1) == "max_value_per_day"
    assert may_open(ledger, SETTINGS, 101, 2 * DAY_MS) is None


def test_ledger_as_it_is_stored_goes_on_counting() -> None:
    """A restart forgets no case of the hour and no value of the day."""
    stored = spent(("a", 0, 300), ("b", 5, 500)).spending
    ledger = Ledger(stored)
    assert (ledger.value(10), ledger.opened_since(0), ledger.spending) == (800, 1, stored)
    assert isinstance(stored, Spending)


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
    assert sorted(entry.amount_minor for entry in story.engine.desk.ledger.spending.entries) == [
        0,
        900,
    ]
