"""Budgets hold: what leaves in any 24 hours is at most the budget, and nobody gets two."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.engine import Engine
from monitor.core.playbooks.money import (
    BUYERS_MAX,
    GIVEN_BACK,
    Ledger,
    LedgerSnapshot,
    budget_key,
    buyer_key,
)
from monitor.model.effects import Compensate
from monitor.model.playbooks import Action, CouponStep, PageStep, Playbook
from monitor.model.records import ActionAnswered, ActionOrdered
from monitor.model.rules import RuleSet
from monitor.testing.scenario import delivered, paid
from tests.unit.core.playbooks.house import House

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
BUDGET = 700
LEVELS = (
    Playbook("a", 1, (CouponStep(value_ppm=100_000, max_minor=300),), tier=1, is_dry_run=False,
             budgets={"coupon": BUDGET}, approval_above_minor=2_000),
    Playbook("b", 2, (CouponStep(value_minor=200, once_per_ms=30 * DAY_MS), PageStep()), tier=2,
             is_dry_run=False, budgets={"coupon": BUDGET}),
)  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from([1, 120, 301, 3_600, 40_000]),  # seconds until it happens
        st.sampled_from(["paid", "paid", "paid", "delivered", "approve", "refuse", "answer"]),
        st.integers(0, 11),  # which order
        st.integers(0, 3),  # which amount, buyer, answer
    ),
    min_size=10,
    max_size=45,
)


def play(steps: list[tuple[int, str, int, int]]) -> House:
    """Tell a random story of orders that wait, people who agree or not, and a shop that answers."""
    house = House(*LEVELS, batch_above=3)
    second = 0
    for pause_s, what, order, draw in steps:
        second += pause_s
        name = f"o{order}"
        known = house.story.engine.shard.orders.get(name)
        entry: Any = None
        if what == "paid":
            entry = paid(name, amount_minor=(900, 1_500, 5_000, 10_000)[draw], currency="CNY",
                         customer_hash=f"c{draw}")  # fmt: skip
        elif what == "delivered" and known is not None:
            entry = delivered(name)
        elif what in ("approve", "refuse"):
            entry = word(house, what, order)
        elif what == "answer" and known is not None and known.actions:
            action = known.actions[draw % len(known.actions)]
            outcome = ("done", "refused", "unknown", "already_delivered")[draw]
            entry = ActionAnswered(f"act_{action.action_id}", action.action_id, name, outcome, 0)
        house.at(f"{second}s", entry)
    return house


def word(house: House, decision: str, order: int) -> ActionOrdered:
    """A person's word about the batch, or about whatever waits."""
    batches = list(house.story.engine.response.crowds.batches.values())
    waiting = [
        action
        for name in house.story.engine.response.unfinished
        for action in house.story.engine.shard.orders[name].actions
        if not action.is_final
    ]
    if order % 2 and batches:
        return ActionOrdered(batches[0].batch_id, decision, "ann", 0)
    if not waiting:
        return ActionOrdered("act_none", decision, "ann", 0)
    action = waiting[order % len(waiting)]
    return ActionOrdered(action.action_id, decision, "ann", 0, action.order_id)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_budget_overrun_is_impossible(steps: list[tuple[int, str, int, int]]) -> None:
    """I19: per budget at most so much in any 24 hours, and one coupon per order and level."""
    house = play(steps)
    coupons = [one for one in house.story.effects() if isinstance(one, Compensate)]
    times: dict[str, list[tuple[int, int]]] = {}
    not_given = {
        action.action_id
        for order in house.story.engine.shard.orders.values()
        for action in order.actions
        if action.reason in GIVEN_BACK  # the shop has said so
    }
    for one in coupons:
        if one.action_id in not_given:
            continue
        times.setdefault(one.reason, []).append((one.at_ms, one.amount_minor))
    for given_ in times.values():
        for start_ms, _ in given_:
            assert sum(a for at, a in given_ if start_ms <= at < start_ms + DAY_MS) <= BUDGET
    each = [(one.order_id, one.reason) for one in coupons]
    assert len(each) == len(set(each))


@settings(max_examples=30, deadline=None)
@given(STEPS)
def test_ledger_of_a_restart_is_that_of_the_log(steps: list[tuple[int, str, int, int]]) -> None:
    """Folding the log again leads to the same reservations, and so does the snapshot."""
    house = play(steps)
    engine = house.story.engine
    again = Engine(house.story.engine.settings, RuleSet())
    for segment in house.story.log:
        again.refold(*segment)
    assert again.response.snapshot() == engine.response.snapshot()
    assert again.engine_hash() == engine.engine_hash()
    again.restore(engine.snapshot(), house.story.now_ms)
    assert again.response.snapshot() == engine.response.snapshot()
    assert again.response.next_ms() == engine.response.next_ms()


def coupon(name: str, state: str, at_ms: int, sent_ms: int | None, reason: str = "") -> Action:
    return Action(name, "o1", 2, "l2", CouponStep(value_minor=100), state, at_ms, at_ms,
                  reason=reason, sent_ms=sent_ms, amount_minor=100)  # fmt: skip


def test_ledger_counts_what_waits_and_what_left_within_a_day() -> None:
    """By hand: 500 a day; waiting and sent count, refused comes back, unknown does not."""
    ledger, key = Ledger(), budget_key("l2", "coupon", is_dry_run=False)
    ledger.take(coupon("a", "waiting", 0, None), None, 0)
    ledger.take(coupon("b", "sent", 0, 0), None, 0)
    assert ledger.room(key, 500, 0) == 300
    ledger.take(coupon("b", "failed", 0, 0, "refused"), None, 1)
    assert ledger.room(key, 500, 1) == 400
    ledger.take(coupon("c", "failed", 2, 2, "unknown"), None, 2)
    assert ledger.room(key, 500, 2) == 300
    assert ledger.room(key, 500, 2 + DAY_MS) == 400  # c left a day ago, a still waits
    ledger.take(coupon("a", "sent", 0, DAY_MS), None, DAY_MS)
    assert ledger.room(key, 500, 2 * DAY_MS - 1) == 400
    assert ledger.room(key, 500, 2 * DAY_MS) == 500


def test_dry_run_takes_nothing_from_what_is_real() -> None:
    """Budgets and buyers of a rehearsal are its own."""
    ledger = Ledger()
    ledger.take(coupon("a", "would", 0, None), "c1", 0)
    assert ledger.room(budget_key("l2", "coupon", is_dry_run=False), 500, 0) == 500
    assert ledger.room(budget_key("l2", "coupon", is_dry_run=True), 500, 0) == 400
    assert not ledger.had_lately(buyer_key("c1", is_dry_run=False), DAY_MS, 1)
    assert ledger.had_lately(buyer_key("c1", is_dry_run=True), DAY_MS, 1)


def test_buyers_are_remembered_for_the_span_and_never_by_name() -> None:
    """Once in 30 days; given back, it is free again; the ledger holds no name."""
    ledger, buyer = Ledger(), buyer_key("secret-name", is_dry_run=False)
    ledger.take(coupon("a", "sent", 0, 0), "secret-name", 0)
    assert ledger.had_lately(buyer, 30 * DAY_MS, 30 * DAY_MS - 1)
    assert not ledger.had_lately(buyer, 30 * DAY_MS, 30 * DAY_MS)
    assert "secret-name" not in str(ledger.snapshot())
    ledger.take(coupon("a", "failed", 0, 0, "refused"), "secret-name", 1)
    assert not ledger.had_lately(buyer, 30 * DAY_MS, 2)


def test_full_memory_of_buyers_gives_nobody_new_anything() -> None:
    """Rather no coupon than one too many; the limit is named."""
    many = tuple((f"b{n}", HOUR_MS) for n in range(BUYERS_MAX))
    ledger = Ledger(LedgerSnapshot(buyers=many))
    assert ledger.had_lately("new", DAY_MS, HOUR_MS + 1)
    assert not ledger.had_lately("new", DAY_MS, HOUR_MS + DAY_MS)


def test_coupon_that_was_never_given_takes_nothing_back() -> None:
    """Two orders of a buyer in one moment: the second gets none, nor does the third an hour later."""
    ledger = Ledger()
    ledger.take(coupon("a", "sent", 0, 0), "c", 0)
    assert ledger.had_lately(buyer_key("c", is_dry_run=False), DAY_MS, 0)
    ledger.take(coupon("b", "skipped", 0, None, "once_per"), "c", 0)
    assert ledger.had_lately(buyer_key("c", is_dry_run=False), DAY_MS, HOUR_MS)
    ledger.take(coupon("a", "failed", 0, 0, "refused"), "c", HOUR_MS)
    assert not ledger.had_lately(buyer_key("c", is_dry_run=False), DAY_MS, HOUR_MS)
