"""Breaker evidence of random shops, against the same words written down the slow way."""

import numpy as np
import pytest

from monitor.core.failover.breaker import SHARE_OF, Lane, channel_speeds
from monitor.core.signals.heard import Heard
from monitor.core.signals.observation import COLUMNS, Kind, Names, Observation, observation

NAMES = Names(("a", "b", "c"), ("shop", "other"), ("pay",), ("sku",))
THRESHOLDS_MS = (20_000, 60_000, 45_000)
NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
SHARES = ((0.89, 0.1, 0.01), (0.4, 0.3, 0.3), (0.85, 0.1, 0.05))


def heard_of(horizon_ms: list[int]) -> Heard:
    """Sources that were believed up to these times."""
    believed = np.array(horizon_ms, np.int64)
    return Heard(believed, believed, believed, believed >= NOW_MS)


def shop(seed: int, orders: int) -> Observation:
    """Orders of some hours: most are quick, some wait, are held, or were paid after their end."""
    random = np.random.default_rng(seed)
    kind = random.choice(5, orders, p=(0.2, 0.7, 0.04, 0.03, 0.03))
    took = (12_000 * np.exp(random.standard_normal(orders))).astype(np.int64)
    age = random.integers(0, [HOUR_MS // 20, 3 * HOUR_MS][seed % 2], orders)
    end = np.where(kind == Kind.OPEN, 0, NOW_MS - age)
    paid = np.where(kind == Kind.OPEN, NOW_MS - took, end - took)
    paid += np.where(random.random(orders) < 0.02, 90_000, 0)  # a corrected time of payment
    promise = random.choice((30_000, 180_000), orders)
    deadline = paid + promise
    until = np.where(kind == Kind.OPEN, NOW_MS, end)
    breach = np.where(until > deadline, deadline, 0)
    breach -= np.where((breach > 0) & (random.random(orders) < 0.1), 120_000, 0)
    columns = {
        "paid_ms": paid, "deadline_ms": deadline, "end_ms": end, "breach_ms": breach,
        "key": random.permutation(orders), "kind": kind.astype(np.int8),
        "channel": random.choice(3, orders, p=SHARES[seed % 3]).astype(np.int16),
        "source": random.integers(0, 2, orders).astype(np.int16),
        "is_held": random.random(orders) < 0.02, "is_unconfirmed": random.random(orders) < 0.02,
    }  # fmt: skip
    empty = {name: np.zeros(orders, np.int16) for name in COLUMNS if name not in columns}
    return observation(columns | empty, NAMES)


def slow_way(rows: Observation, code: int, horizon: list[int] | None) -> list[bool]:
    """The latest verdicts of one channel, latest last, order by order."""
    known = []
    for at in np.flatnonzero(rows.channel == code).tolist():
        paid, end, is_open = rows.paid_ms[at], rows.end_ms[at], rows.kind[at] == Kind.OPEN
        slow_ms = paid + THRESHOLDS_MS[code]
        is_slow = (NOW_MS if is_open else end) > slow_ms
        if rows.is_held[at] or rows.is_unconfirmed[at] or paid > NOW_MS:
            continue
        if not is_slow and rows.kind[at] != Kind.DELIVERED:
            continue
        if horizon is not None and is_slow:
            believed = horizon[rows.source[at]]
            if believed == 0 or (is_open and slow_ms > believed):
                continue
        known.append((slow_ms if is_slow else end, rows.key[at], bool(is_slow)))
    return [is_slow for _, _, is_slow in sorted(known)][-SHARE_OF:]


@pytest.mark.parametrize("orders", [0, 1, 30, 400, 3_000])
@pytest.mark.parametrize("seed", range(6))
def test_random_shop_is_read_as_order_by_order(seed: int, orders: int) -> None:
    """Shares, trips, ages and what rests on silence, whatever part of the rows is looked at."""
    rows = shop(seed, orders)
    horizon = [NOW_MS - 20_000 * seed, 0 if seed % 3 else NOW_MS]
    lanes = [Lane(name, code, THRESHOLDS_MS[code]) for code, name in enumerate(NAMES.channel)]
    read = channel_speeds(rows, [*lanes, Lane("d", -1, 1)], NOW_MS, heard_of(horizon))
    for code, name in enumerate(NAMES.channel):
        latest = slow_way(rows, code, None)
        believed = slow_way(rows, code, horizon)
        is_tripped = len(latest) >= 4 and all(latest[-4:])
        is_open = (rows.channel == code) & (rows.kind == Kind.OPEN)
        ages = (NOW_MS - rows.paid_ms[is_open]).tolist()
        speed = read[name]
        assert (speed.slow, speed.n, speed.is_tripped) == (sum(latest), len(latest), is_tripped)
        assert (speed.open_orders, speed.oldest_age_ms) == (len(ages), max([*ages, 0]))
        is_proven = len(believed) >= 4 and all(believed[-4:])
        assert speed.rests_on_silence is (is_tripped and not is_proven)
    assert (read["d"].n, read["d"].open_orders, read["d"].oldest_age_ms) == (0, 0, 0)
