"""A seeded month of a shop with three channels and a few outages, as the lines of an NDJSON file.

Orders follow a daily curve; most are created, paid and delivered within seconds, some wait for an
outage of their channel to end, a few are never delivered, refunded, or never paid.
"""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

START_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z, a Monday
MONTH_S = 30 * 86_400.0
ORDERS = 330_000  # about a million events
CHANNELS = ("auto", "supplier", "pool")
PROVIDERS = ("alipay", "wechat", "stripe")
SKUS = 40
OUTAGES = ((0, 4.4, 0.5), (1, 11.7, 2.0), (2, 19.1, 0.8), (0, 26.3, 0.3))  # channel, day, hours


def lines(orders: int, seed: int = 1, span_s: float = MONTH_S) -> list[bytes]:
    """Events of that many orders in the order of their times; equal seeds give equal bytes."""
    dice = random.Random(seed)
    told: list[tuple[int, int, bytes]] = []
    for number in range(orders):
        for at_ms, line in _order(dice, number, span_s):
            told.append((at_ms, len(told), line))
    told.sort()
    return [line for _, _, line in told]


def _order(dice: random.Random, number: int, span_s: float) -> list[tuple[int, bytes]]:
    created_s = _moment_s(dice, span_s)
    channel = dice.choices((0, 1, 2), (6, 3, 1))[0]
    fields = {
        "order_id": f"SHOP-{number:08d}",
        "channel": CHANNELS[channel],
        "sku": f"card-{int(SKUS * dice.random() ** 2):02d}",
        "amount_minor": dice.choice((990, 1_990, 4_990, 9_990)),
        "currency": "CNY",
        "provider": dice.choices(PROVIDERS, (5, 4, 1))[0],
    }
    told = [_told("order.created", created_s, fields)]
    if dice.random() < 0.04:  # the buyer went away
        return told
    paid_s = created_s + dice.lognormvariate(2.3, 0.6)
    told.append(_told("order.paid", paid_s, fields))
    fate = dice.random()
    if fate < 0.001:  # never delivered, paid back the next day
        return [*told, _told("order.refunded", paid_s + dice.uniform(3_600, 86_400), fields)]
    begun_s = max([paid_s, *(end_s for end_s in _held(channel, paid_s, span_s))])
    if fate < 0.06:
        told.append(_told("delivery.attempted", begun_s + 0.4, fields))
    done_s = begun_s + dice.lognormvariate(1.8, 0.7)
    return [*told, _told("delivery.delivered", done_s, fields)]


def _moment_s(dice: random.Random, span_s: float) -> float:
    """A time of the month; nights have a fifth of the orders of the day."""
    while True:
        at_s = dice.random() * span_s
        if 8 <= at_s / 3_600 % 24 < 24 or dice.random() < 0.2:
            return at_s


def _held(channel: int, at_s: float, span_s: float) -> list[float]:
    """The end of the outage that a time lies in; outages keep their place in a shorter month."""
    ends = []
    for broken, day, hours in OUTAGES:
        begin_s = day / 30 * span_s
        end_s = begin_s + hours * 3_600
        if broken == channel and begin_s <= at_s < end_s:
            ends.append(end_s)
    return ends


def _told(kind: str, at_s: float, fields: dict[str, str | int]) -> tuple[int, bytes]:
    at_ms = START_MS + round(at_s * 1_000)
    time = datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds")
    event = {"type": kind, "id": f"{fields['order_id']}-{kind}", "time": time} | fields
    return at_ms, json.dumps(event).encode()
