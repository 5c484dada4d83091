"""Columns over orders, compared with a list of orders."""

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.orders.facts import Facts
from monitor.core.orders.table import OrderTable, row_of
from monitor.core.signals.observation import (
    ROWS,
    Kind,
    Names,
    Observation,
    merge,
)

NAMES = Names(("d", "c", "b", "a"), ("shop",), ("unknown",), ("unknown",))

TIME = st.integers(1, 40)
FACTS = st.builds(
    Facts,
    paid_ms=TIME,
    promise_ms=st.integers(1, 20),
    delivered_ms=st.none() | TIME,
    failed_ms=st.none() | TIME,
    refunded_ms=st.none() | TIME,
    cancelled_ms=st.none() | TIME,
)
ROW = st.tuples(FACTS, st.integers(0, 3), st.none() | TIME, st.booleans())
STEP = st.tuples(st.integers(0, 12), st.none() | ROW)


def naive_row(key: int, facts: Facts, channel: int, breach: int | None, is_held: bool) -> Any:
    if facts.delivered_ms is not None:
        kind, end = Kind.DELIVERED, facts.delivered_ms
    elif facts.failed_ms is not None:
        kind, end = Kind.FAILED, facts.failed_ms
    elif facts.refunded_ms is not None:
        kind, end = Kind.REFUNDED, facts.refunded_ms
    elif facts.cancelled_ms is not None:
        kind, end = Kind.CANCELLED, facts.cancelled_ms
    else:
        kind, end = Kind.OPEN, 0
    judged = min([at for at in (end, breach) if at], default=0)
    assert facts.paid_ms is not None
    return (judged, key, facts.paid_ms, facts.paid_ms + facts.promise_ms, end, breach or 0, int(kind),
            channel, is_held)  # fmt: skip


def rows_of(seen: Observation) -> list[Any]:
    columns = (seen.judged_ms, seen.key, seen.paid_ms, seen.deadline_ms, seen.end_ms, seen.breach_ms,
               seen.kind, seen.channel, seen.is_held)  # fmt: skip
    return list(zip(*(column.tolist() for column in columns), strict=True))


@given(st.lists(STEP, max_size=60))
def test_table_equals_a_dictionary_of_orders(steps: list[Any]) -> None:
    """After any puts and removals the rows are the orders, sorted by (judged, key)."""
    table, slots, orders = OrderTable(), dict[int, int](), dict[int, Any]()
    for key, row in steps:
        if row is None:
            if key in slots:
                table.remove(slots.pop(key))
                del orders[key]
        else:
            facts, channel, breach, is_held = row
            columns = row_of(
                facts, key=key, codes=(channel, 0, 0, 0), breach_ms=breach, is_held=is_held
            )
            slots[key] = table.put(slots.get(key), columns)
            orders[key] = naive_row(key, facts, channel, breach, is_held)
    assert len(table) == len(orders)
    assert rows_of(table.observe(NAMES)) == sorted(orders.values())


@given(
    st.lists(ROW, min_size=40, max_size=60),
    st.lists(st.lists(st.tuples(st.integers(0, 69), st.none() | ROW), max_size=5), max_size=6),
)
def test_few_changes_between_looks_leave_the_rows_of_all_orders(
    rows: list[Any], looks: list[list[Any]]
) -> None:
    """Each look over a large table that changed little is that over a new table of its orders."""
    table, slots, held = OrderTable(), dict[int, int](), dict[int, Any]()
    for changes in (list(enumerate(rows)), *looks):
        for key, row in changes:
            if row is None:
                if key in slots:
                    table.remove(slots.pop(key))
                    del held[key]
                continue
            facts, channel, breach, is_held = row
            held[key] = row_of(
                facts, key=key, codes=(channel, 0, 0, 0), breach_ms=breach, is_held=is_held
            )
            slots[key] = table.put(slots.get(key), held[key])
        anew = OrderTable()
        for one in held.values():
            anew.put(None, one)
        seen, wanted = table.observe(NAMES), anew.observe(NAMES)
        for name in ROWS:
            assert getattr(seen, name).dtype == getattr(wanted, name).dtype
            assert getattr(seen, name).tolist() == getattr(wanted, name).tolist()


@given(st.lists(ROW, max_size=30), st.integers(1, 4))
def test_merged_shards_are_bit_identical_to_one(rows: list[Any], shards: int) -> None:
    """The rows of N tables merged are those of one table, byte by byte."""
    tables = [OrderTable() for _ in range(shards)]
    whole = OrderTable()
    for key, (facts, channel, breach, is_held) in enumerate(rows):
        for table in (tables[key * 7 % shards], whole):
            codes = (channel, 0, 0, 0)
            table.put(None, row_of(facts, key=key, codes=codes, breach_ms=breach, is_held=is_held))
    merged, one = merge([table.observe(NAMES) for table in tables]), whole.observe(NAMES)
    one = merge([one])
    assert merged.names == one.names
    for name in ROWS:
        left, right = getattr(merged, name), getattr(one, name)
        assert left.dtype == right.dtype
        assert left.tobytes() == right.tobytes()


def test_observation_stays_as_it_was_when_the_table_moves_on() -> None:
    """What control looks at is a copy."""
    table = OrderTable()
    slot = table.put(None, row_of(Facts(paid_ms=5, promise_ms=1), key=1))
    before = table.observe(NAMES)
    assert table.observe(NAMES) is before
    table.put(slot, row_of(Facts(paid_ms=9, promise_ms=1), key=1, breach_ms=10))
    assert before.paid_ms.tolist() == [5]
    assert table.observe(NAMES).judged_ms.tolist() == [10]


def test_held_overdue_orders_count_as_late_only_for_display() -> None:
    """With held ones judged an overdue open order is breached at its deadline, others stay."""
    table = OrderTable()
    for key, (facts, is_held) in enumerate(
        [
            (Facts(paid_ms=1, promise_ms=10), True),
            (Facts(paid_ms=1, promise_ms=90), True),
            (Facts(paid_ms=1, promise_ms=10, delivered_ms=40), True),
            (Facts(paid_ms=1, promise_ms=10), False),
        ]
    ):
        table.put(None, row_of(facts, key=key, is_held=is_held))
    shown = table.observe(NAMES).with_held_judged(50)
    assert dict(zip(shown.key.tolist(), shown.breach_ms.tolist(), strict=True)) == {
        0: 11, 1: 0, 2: 0, 3: 0,
    }  # fmt: skip
    assert int(np.count_nonzero(table.observe(NAMES).breach_ms)) == 0
