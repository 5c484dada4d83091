"""A dujiaoka that has been selling for long: any number of orders in its table, made by the server.

Most are done or were never paid; one of two thousand waits for a person. An order is made
every `EVERY_S`.
"""

from __future__ import annotations

from typing import Any

from tests.shops.bench import SECRET

EVERY_S = 30
_FILL = """
INSERT INTO orders (order_sn, goods_id, title, type, buy_amount, actual_price, email, info, pay_id,
                    buy_ip, trade_no, status, created_at, updated_at)
SELECT CONCAT('SN', LPAD(seq + {first}, 14, '0')), 1 + seq %% 40, 'goods',
       IF(seq %% 2000 = 0, 2, 1), 1, 9.90, CONCAT('buyer', seq %% 5000, '@example.org'),
       CONCAT('{secret}-', seq, '-', REPEAT('x', 40)), 14 + seq %% 2, '::1', CONCAT('T', seq),
       IF(seq %% 2000 = 0, 2, IF(seq %% 5 < 3, 4, -1)),
       FROM_UNIXTIME(%s - ({count} - seq) * {every}), FROM_UNIXTIME(%s - ({count} - seq) * {every})
FROM seq_1_to_{count}
"""


def fill(shop: Any, count: int, newest_ms: int, first: int = 0, *, every_s: int = EVERY_S) -> None:
    """Put orders in, the last of them made at a time; `first` of them are there already."""
    newest_s = newest_ms // 1_000 + 8 * 3_600  # as the shop writes it; this session's zone is UTC
    with shop.cursor() as cursor:
        cursor.execute("SET SESSION time_zone = '+00:00'")
        cursor.execute(
            _FILL.format(count=count, first=first, every=every_s, secret=SECRET),
            [newest_s, newest_s],
        )
        cursor.execute("SET SESSION time_zone = DEFAULT")
        cursor.execute("ANALYZE TABLE orders")
