"""Shops that have been selling for long: any number of orders, made by the database itself.

An order is made every 30 s. Most are done or were never paid; one of two thousand is paid and waits.
"""

from __future__ import annotations

from tests.databases import ShopDatabase
from tests.shops.bench import SECRET

EVERY_S = 30

# {now}: seconds; seq counts from 1 to {count}; what was there before is {first} orders.
_ZFAKA = """
INSERT INTO t_order (orderid, email, pid, price, number, money, addtime, paytime, status, kami)
SELECT CONCAT('zlkb', seq + {first}), CONCAT('buyer', seq %% 5000), 7, 9.90, 1, 9.90,
       {now} - ({count} - seq) * 30,
       IF(seq %% 2000 = 0 OR seq %% 5 < 3, {now} - ({count} - seq) * 30 + 9, 0),
       IF(seq %% 2000 = 0, 1, IF(seq %% 5 < 3, 2, 0)),
       IF(seq %% 5 < 3, CONCAT('{secret}-', seq, '-', REPEAT('x', 40)), '')
FROM seq_1_to_{count}
"""
_WANTED = """
INSERT INTO temporder (out_order_id, name, payment, contact, price, num, total_price, status, auto,
                       updatetime)
SELECT CONCAT('Order_', seq + {first}), 'cards', 'PAYJS', CONCAT('buyer', seq %% 5000), 9.9, 1, 9.9,
       seq %% 2000 = 0 OR seq %% 5 < 3, 1,
       FROM_UNIXTIME(0) + INTERVAL ({now} + 28800 - ({count} - seq) * 30) SECOND
FROM seq_1_to_{count}
"""
_MADE = """
INSERT INTO `order` (out_order_id, name, payment, contact, price, num, total_price, card, status,
                     updatetime)
SELECT CONCAT('Order_', seq + {first}), 'cards', 'PAYJS', CONCAT('buyer', seq %% 5000), 9.9, 1, 9.9,
       CONCAT('{secret}-', seq + {first}), 1,
       FROM_UNIXTIME(0) + INTERVAL ({now} + 28800 - ({count} - seq) * 30) SECOND
FROM seq_1_to_{count} WHERE seq %% 5 < 3 AND seq %% 2000 <> 0
"""
# Orders with one part each, so half as many of each; {moment} is the time of order n.
_NEXT = """
INSERT INTO orders (id, order_no, status, currency, total_amount, created_at, updated_at, paid_at)
SELECT 2 * ({first} + n) + 1, 'DJ' || ({first} + n),
       CASE WHEN n % 2000 = 0 THEN 'paid' WHEN n % 5 < 3 THEN 'completed' ELSE 'canceled' END,
       'USD', 9.90, {moment}, {moment}, CASE WHEN n % 5 < 3 THEN {moment} END FROM {numbers};
INSERT INTO orders (id, order_no, parent_id, status, currency, total_amount, created_at, updated_at)
SELECT id + 1, order_no || '-01', id, status, currency, 9.90, created_at, updated_at
FROM orders WHERE parent_id IS NULL AND id > 2 * {first} + 1;
INSERT INTO order_items (order_id, product_id, quantity, fulfillment_type)
SELECT id, 7, 1, 'auto' FROM orders WHERE parent_id IS NOT NULL AND id > 2 * {first} + 1;
INSERT INTO fulfillments (order_id, type, status, payload, delivered_at)
SELECT id, 'auto', 'delivered', '{secret}-' || id, updated_at
FROM orders WHERE parent_id IS NOT NULL AND status = 'completed' AND id > 2 * {first} + 2;
INSERT INTO payments (order_id, channel_id, provider_type, channel_type, interaction_mode, amount,
                      currency, status, paid_at, updated_at)
SELECT id, 1, 'epay', 'alipay', 'qr', 9.90, 'USD',
       CASE WHEN paid_at IS NULL THEN 'expired' ELSE 'success' END, paid_at, updated_at
FROM orders WHERE parent_id IS NULL AND id > 2 * {first} + 1"""
_NUMBERS = {
    "postgresql": "generate_series(1, {count}) AS n",
    "sqlite": """(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {count})
                  SELECT n FROM s)""",
}
_MOMENTS = {
    "postgresql": "to_timestamp({now} - ({count} - n) * 30)",
    "sqlite": """strftime('%Y-%m-%d %H:%M:%f+00:00', {now} - ({count} - n) * 30,
                          'unixepoch')""",
}


def fill(
    kind: str, engine: str, database: ShopDatabase, count: int, newest_ms: int, first: int = 0
) -> None:
    """Put rows of orders in, the last of them made at a time; `first` of them are there already."""
    if kind != "dujiao-next":
        scripts = (_ZFAKA,) if kind == "zfaka" else (_WANTED, _MADE)
        for script in scripts:
            words = {"count": count, "first": first, "now": newest_ms // 1_000}
            database.write(script.format(secret=SECRET, **words))
        database.write(f"ANALYZE TABLE {'t_order' if kind == 'zfaka' else 'temporder'}")
        return
    words = {"count": count // 2, "first": first // 2, "now": newest_ms // 1_000}
    numbers, moment = (text[engine].format(**words) for text in (_NUMBERS, _MOMENTS))
    for statement in _NEXT.split(";\n"):
        database.write(statement.format(numbers=numbers, moment=moment, secret=SECRET, **words))
    database.write("ANALYZE")
