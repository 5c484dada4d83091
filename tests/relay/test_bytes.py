"""What reaches the shop is what the gateway sent: method, path, query, header lines, body."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from tests.relay.requests import differences, request
from tests.relay.shop import open_shop
from tests.relay.world import raw, running, said, settings_of

COUNT = int(os.environ.get("RELAY_REQUESTS", "500"))


async def test_random_requests_are_byte_identical_at_the_shop(tmp_path: Path) -> None:
    """Odd characters, bytes of other encodings, repeated lines, chunks, empty values: as they came."""
    random = Random(20260101)
    async with open_shop() as shop, running(tmp_path, settings_of(shop.port)) as monitor:
        for number in range(COUNT):
            sent, method, rest, lines, body = request(random)
            status, _ = said(await raw(monitor.url, sent, is_head=method == b"HEAD"))
            assert status == 200, (number, sent)
            found = differences(shop.seen[-1], method, rest, lines, body)
            assert found == [], (number, sent)
            assert len(shop.seen) == number + 1
