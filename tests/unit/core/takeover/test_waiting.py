"""Who goes first: tier, VIP, speed, amount, age."""

from monitor.core.orders.facts import Facts
from monitor.core.orders.order import Order
from monitor.core.takeover.waiting import Queues, place_of
from monitor.model.takeovers import CaseState, TakeoverCase


def order(tier: int = 1, customer: str = "normal", speed: str = "", paid_ms: int = 0) -> Order:
    facts = Facts(
        paid_ms=paid_ms, customer_tier=customer, speed=speed or None, promise_ms=1, quantity=1
    )
    return Order("o", (), facts, tier=tier)


def case(name: str, amount_minor: int = 100) -> TakeoverCase:
    return TakeoverCase(
        name, "o", CaseState.CLAIMED, "c", 1, 0, 0, "auto", amount_minor=amount_minor
    )


def lined_up(*waiting: tuple[TakeoverCase, Order | None]) -> list[str]:
    """The names in the order in which they would go."""
    queues = Queues()
    for one, its_order in waiting:
        queues.put(one.takeover_id, "pool", place_of(one, its_order))
    names = []
    while (first := queues.first("pool", only_privileged=False)) is not None:
        names.append(str(first[-1]))
        queues.drop(names[-1])
    return names


def test_tier_goes_before_vip_before_speed_before_amount_before_age() -> None:
    """Each breaks the tie of the one before."""
    assert lined_up(
        (case("age"), order(paid_ms=5)),
        (case("older"), order(paid_ms=4)),
        (case("dear", 200), order(paid_ms=9)),
        (case("express"), order(speed="express", paid_ms=9)),
        (case("economy", 900), order(speed="economy")),
        (case("vip"), order(customer="vip", speed="economy", paid_ms=9)),
        (case("tier"), order(tier=2, speed="economy", paid_ms=9)),
    ) == ["tier", "vip", "express", "dear", "older", "age", "economy"]


def test_kept_slots_are_for_vip_and_for_the_third_tier() -> None:
    """An L2 order ranks before an L1 VIP, but has no right to the last fifth."""
    queues = Queues()
    queues.put("late", "pool", place_of(case("late"), order(tier=2)))
    assert queues.first("pool", only_privileged=True) is None
    queues.put("vip", "pool", place_of(case("vip"), order(customer="vip")))
    queues.put("last", "pool", place_of(case("last"), order(tier=3)))
    first = queues.first("pool", only_privileged=True)
    assert first is not None
    assert first[-1] == "last"
    queues.drop("last")
    first = queues.first("pool", only_privileged=True)
    assert first is not None
    assert first[-1] == "vip"


def test_case_stands_in_one_place_only() -> None:
    """Put again elsewhere or higher, its earlier place counts no more."""
    queues = Queues()
    low, high = place_of(case("a"), order()), place_of(case("a"), order(tier=3))
    queues.put("a", "pool", low)
    queues.put("b", "pool", place_of(case("b"), order(tier=2)))
    queues.put("a", "pool", high)
    assert (len(queues), queues.count("pool")) == (2, 2)
    first = queues.first("pool", only_privileged=False)
    assert first == high.rank
    queues.put("a", "other", high)
    assert (queues.count("pool"), queues.count("other"), queues.channels()) == (
        1, 1, ["other", "pool"],
    )  # fmt: skip


def test_places_that_were_left_do_not_pile_up() -> None:
    """A case that climbs a thousand times is remembered about once."""
    queues = Queues()
    for number in range(1_000):
        queues.put("a", "pool", place_of(case("a"), order(paid_ms=number)))
    assert sum(len(heap) for heap in queues._heaps.values()) < 100
