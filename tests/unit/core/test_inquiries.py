"""Which orders a gateway is asked about: the young and unpaid, spaced, bounded, and not for ever."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from monitor.core.inquiries import LATER_MS, WAITING_MAX, AskedGateway, Inquiries
from monitor.core.orders.facts import Facts
from monitor.core.orders.order import Order
from monitor.model.gateways import Inquiry

MINUTE_MS = 60_000
GATE = AskedGateway("gate", ("alipay", "wxpay"), 30 * MINUTE_MS)
OTHER = AskedGateway("other", ("usdt",), 30 * MINUTE_MS)


def unpaid(*order_ids: str, created_ms: int = 0, provider: str | None = None) -> dict[str, Order]:
    facts = Facts(created_ms=created_ms, provider=provider)
    return {one: Order(one, (), facts) for one in order_ids}


def ids(chosen: tuple[Inquiry, ...]) -> list[str]:
    return [one.order_id for one in chosen]


def test_order_is_asked_about_after_a_moment_and_then_spaced() -> None:
    """First 15 s after its creation, then every 40 s, and less often once it is old."""
    inquiries, orders = Inquiries([GATE]), unpaid("A1")
    asked = []
    for now_ms in range(0, 32 * MINUTE_MS, 1_000):
        inquiries.look(orders, now_ms)
        asked += [now_ms for _ in inquiries.choose("gate", now_ms, 10)]
    gaps = [after - before for before, after in pairwise(asked)]
    assert asked[0] == 15_000
    assert set(gaps[: LATER_MS // 40_000]) == {40_000}
    assert set(gaps[LATER_MS // 40_000 + 1 :]) == {60_000}
    assert asked[-1] <= 30 * MINUTE_MS
    assert inquiries.waits("gate") == 0


@given(
    st.lists(st.tuples(st.integers(0, 300_000), st.booleans()), min_size=1, max_size=60),
    st.integers(1, 5),
)
def test_no_order_is_asked_about_more_than_twice_a_minute(
    moments: list[tuple[int, bool]], most: int
) -> None:
    """However often the gateway is turned to, and whatever callbacks claim meanwhile."""
    inquiries, asked = Inquiries([GATE]), defaultdict[str, list[int]](list)
    orders = unpaid("A1", "A2", "A3")
    for now_ms, has_callback in sorted(moments):
        inquiries.look(orders, now_ms)
        if has_callback:
            inquiries.check("gate", Inquiry("A1", "T1"), now_ms)
        for one in inquiries.choose("gate", now_ms, most):
            asked[one.order_id].append(now_ms)
    for times in asked.values():
        assert all(sum(at <= one < at + MINUTE_MS for one in times) <= 2 for at in times)


def test_claim_does_not_get_round_the_limit_of_questions() -> None:
    """Asked at 15 s and 55 s; the callback of 56 s has to wait until a minute after the first."""
    inquiries, orders, asked = Inquiries([GATE]), unpaid("A1"), []
    for now_ms in range(0, 120_000, 1_000):
        inquiries.look(orders, now_ms)
        if now_ms == 56_000:
            inquiries.check("gate", Inquiry("A1", "T1"), now_ms)
        asked += [now_ms for _ in inquiries.choose("gate", now_ms, 9)]
    assert asked == [15_000, 55_000, 75_000, 115_000]


def test_youngest_come_first_and_a_claim_before_all() -> None:
    """Most buyers pay within minutes; a claim may be forged while goods leave."""
    inquiries = Inquiries([GATE])
    orders = unpaid("old") | unpaid("young", created_ms=60_000)
    inquiries.look(orders, 100_000)
    inquiries.check("gate", Inquiry("claimed", "T9"), 100_000)
    assert ids(inquiries.choose("gate", 100_000, 2)) == ["claimed", "young"]
    assert ids(inquiries.choose("gate", 100_000, 2)) == ["old"]
    assert ids(inquiries.choose("gate", 100_000, 2)) == []


def test_gateway_is_asked_about_its_own_orders_only() -> None:
    """By the provider an order names; one that names none belongs to the only gateway there is."""
    orders = unpaid("A1", provider="wxpay") | unpaid("A2", provider="usdt") | unpaid("A3")
    two, one = Inquiries([GATE, OTHER]), Inquiries([GATE])
    for inquiries in (two, one):
        inquiries.look(orders, 60_000)
    assert ids(two.choose("gate", 60_000, 9)) == ["A1"]
    assert ids(two.choose("other", 60_000, 9)) == ["A2"]
    assert sorted(ids(one.choose("gate", 60_000, 9))) == ["A1", "A3"]


def test_order_that_is_paid_or_closed_is_let_go() -> None:
    """By whatever way it was heard, and so is one that left memory."""
    inquiries, orders = Inquiries([GATE]), unpaid("paid", "closed", "gone", "open")
    inquiries.look(orders, 0)
    orders["paid"].facts = Facts(created_ms=0, paid_ms=1)
    orders["closed"].facts = Facts(created_ms=0, cancelled_ms=1)
    del orders["gone"]
    inquiries.look(orders, 60_000)
    assert ids(inquiries.choose("gate", 60_000, 9)) == ["open"]


def test_claim_is_denied_by_the_second_no() -> None:
    """The first may have come a moment too early; an order nobody claimed cannot be denied."""
    inquiries = Inquiries([GATE])
    inquiries.look(unpaid("A1"), 0)
    inquiries.check("gate", Inquiry("A2", "T2"), 0)
    assert [inquiries.denied("gate", "A1") for _ in range(3)] == [False] * 3
    assert [inquiries.denied("gate", "A2") for _ in range(3)] == [False, True, True]
    inquiries.settled("gate", "A2")
    inquiries.check(
        "gate", Inquiry("A2", "T2", is_signed=True), 1
    )  # the gateway repeats its callback
    assert not inquiries.is_evident("gate", "A2")


def test_number_that_a_callback_told_goes_with_the_question() -> None:
    """An epusdt can be asked by its own number only."""
    inquiries = Inquiries([GATE])
    inquiries.look(unpaid("A1", "A2"), 0)
    inquiries.told("gate", Inquiry("A1", "T1"))
    assert set(inquiries.choose("gate", 60_000, 9)) == {Inquiry("A1", "T1"), Inquiry("A2")}


def test_number_of_a_signed_callback_is_not_replaced_by_a_strangers() -> None:
    """Whether the stranger comes before or after, and also when he claims the order paid."""
    inquiries = Inquiries([GATE])
    for one in (Inquiry("A1", "F1"), Inquiry("A1", "T1", is_signed=True), Inquiry("A1", "F2")):
        inquiries.told("gate", one)
    inquiries.check("gate", Inquiry("A1", "F2"), 0)
    assert inquiries.choose("gate", 0, 9) == (Inquiry("A1", "T1", is_signed=True),)


def test_denied_order_is_asked_about_by_the_number_that_is_told_next() -> None:
    """The number in a claim that was denied is worth nothing; the gateway's next push tells its own."""
    inquiries = Inquiries([GATE])
    for claim in (inquiries.told, lambda name, one: inquiries.check(name, one, 0)):
        claim("gate", Inquiry("A1", "F1"))
    inquiries.denial_told("gate", "A1")
    inquiries.told("gate", Inquiry("A1", "T1"))
    assert inquiries.choose("gate", 60_000, 9) == (Inquiry("A1", "T1"),)


def test_denied_order_is_asked_about_as_long_as_an_unpaid_one() -> None:
    """What a stranger claimed does not hide the payment that comes later; it goes last and ends."""
    inquiries, orders = Inquiries([GATE]), unpaid("A1", "A2")
    inquiries.look(orders, 0)
    inquiries.check("gate", Inquiry("A1", "F1", is_signed=True), 0)
    orders["A1"].facts = Facts(created_ms=0, paid_ms=0)
    inquiries.denial_told("gate", "A1")
    inquiries.look(orders, 60_000)
    assert not inquiries.is_evident("gate", "A1")
    assert ids(inquiries.choose("gate", 60_000, 9)) == ["A2", "A1"]
    inquiries.check("gate", Inquiry("A1", "F1"), 70_000)
    assert ids(inquiries.choose("gate", 70_000, 9)) == []
    inquiries.look(orders, 31 * MINUTE_MS)
    assert inquiries.waits("gate") == 0


def test_denied_order_is_asked_about_after_a_restart() -> None:
    """The fault stands with the order; what the gateway then called paid is let go."""
    inquiries, orders = Inquiries([GATE]), unpaid("A1", "A2")
    for order in orders.values():
        order.facts = Facts(created_ms=0, paid_ms=1)
    orders["A1"].faults = ("payment_denied",)
    inquiries.look(orders, 60_000)
    assert ids(inquiries.choose("gate", 60_000, 9)) == ["A1"]
    inquiries.settled("gate", "A1")
    inquiries.look(orders, 120_000)
    assert inquiries.waits("gate") == 0


def test_flood_of_claims_is_bounded_and_drops_denied_ones_first() -> None:
    """Made-up claims push no buyer's order out."""
    inquiries = Inquiries([GATE])
    inquiries.look(unpaid("A1"), 0)
    for number in range(WAITING_MAX + 500):
        inquiries.check("gate", Inquiry(f"F{number}", "F"), 60_000)
        inquiries.denial_told("gate", f"F{number}")
    assert inquiries.waits("gate") == WAITING_MAX
    assert ids(inquiries.choose("gate", 60_000, 1)) == ["A1"]


def test_claim_and_number_outlive_a_reload() -> None:
    """A claim that was not checked yet is checked under the new configuration."""
    before, after = Inquiries([GATE, OTHER]), Inquiries([GATE])
    before.check("gate", Inquiry("A1", "T1"), 0)
    before.check("other", Inquiry("A2", "T2"), 0)
    before.told("gate", Inquiry("A3", "T3"))
    after.go_on_from(before)
    after.look(unpaid("A3"), 60_000)
    assert set(after.choose("gate", 60_000, 9)) == {Inquiry("A1", "T1"), Inquiry("A3", "T3")}


def test_flood_of_orders_is_bounded() -> None:
    """Beyond the limit the oldest are no longer asked about."""
    inquiries, orders = Inquiries([GATE]), dict[str, Order]()
    for number in range(WAITING_MAX + 500):
        orders |= unpaid(f"A{number}", created_ms=number)
        if number % 500 == 499:
            inquiries.look(orders, 60_000)
    assert inquiries.waits("gate") == WAITING_MAX
    assert "A0" not in ids(inquiries.choose("gate", 60_000, WAITING_MAX))
