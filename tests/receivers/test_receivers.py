"""The reference receivers in PHP, Node and Python against tables of three shops in a real MariaDB.

The product's own client speaks to them: repeats, forged signatures, stale fences, and both parties
delivering, refunding or claiming at the same moment.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from monitor.adapters.clock import SystemClock
from monitor.adapters.http_client import HttpClient
from monitor.adapters.shop import Shop
from monitor.adapters.signing import webhook_headers
from monitor.model.effects import (
    Claim,
    Compensate,
    HandOver,
    NotifyBuyer,
    Refund,
    Release,
    refund_id,
)
from monitor.model.endpoints import ShopEndpoints
from monitor.model.errors import Permanent
from monitor.model.secret import Secret
from monitor.model.times import SECOND_MS
from tests.mariadb import mariadb
from tests.receivers.stalls import EXAMPLES, MAKES, SECRET, Stall, receiving, set_up

NODE_PATHS = "/usr/share/nodejs"  # where Debian's node-mysql is
COMMANDS = {
    "php": (["php", "-S", "127.0.0.1:PORT", "receiver.php"], {"PHP_CLI_SERVER_WORKERS": "8"}),
    "node": (["node", "receiver.js"], {"NODE_PATH": NODE_PATHS}),
    "python": ([sys.executable, "receiver.py"], {}),
}
ROUTES = ("claim", "deliver", "release", "notify", "compensate", "refund")
GOODS = ["KEY-一-1"]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with mariadb(tmp_path_factory.mktemp("db")) as place:
        yield place


@pytest.fixture(
    scope="session", params=[f"{name} {make.name}" for make in MAKES for name in COMMANDS]
)
def stall(request: pytest.FixtureRequest, server: dict[str, Any]) -> Iterator[Stall]:
    language, _, shop = request.param.partition(" ")
    command, extra = COMMANDS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    if language == "node" and not Path(NODE_PATHS, "mysql").exists():
        pytest.skip("node-mysql is not installed")
    make = next(one for one in MAKES if one.name == shop)
    place = set_up(make, server, f"{make.name}_{language}".replace("-", "_"))
    with receiving(command, make, place, dict(os.environ) | extra) as url:
        yield Stall(make, place, url)


class Speaker:
    """The product's side of one shop."""

    def __init__(self, client: HttpClient, stall: Stall) -> None:
        urls = {f"{name}_url": f"{stall.url}/{name}" for name in ROUTES}
        self.client, self.stall = client, stall
        self._shop = Shop(client, ShopEndpoints(**urls, secret=Secret(SECRET)))

    async def claim(
        self, order_id: str, fence: int = 1, *, name: str = "clm", ttl_s: int = 60
    ) -> str:
        """Ask for the order; what the shop says, with its words about the goods."""
        now_ms = SystemClock().now_ms()
        effect = Claim(f"c{name}{fence}", "tko", order_id, f"{name}_{fence}", fence,
                       now_ms + ttl_s * SECOND_MS)  # fmt: skip
        answer = await self._shop.claim(effect, now_ms)
        if answer.status == "granted":
            assert (answer.paid, answer.sku, answer.quantity, answer.amount_minor) == (
                True,
                "7",
                1,
                990,
            )
        return answer.status

    async def deliver(
        self, order_id: str, fence: int = 1, *, name: str = "clm", tko: str = "tko"
    ) -> str:
        """Hand the goods over; `refused` stands for any answer for good."""
        effect = HandOver(f"h{tko}", tko, order_id, f"{name}_{fence}", fence, "pool", "att")
        try:
            return (await self._shop.deliver(effect, GOODS, SystemClock().now_ms())).outcome
        except Permanent:
            return "refused"

    async def release(self, order_id: str, fence: int = 1, *, name: str = "clm") -> None:
        """Give the order back."""
        effect = Release("r", "tko", order_id, f"{name}_{fence}", fence, "test")
        await self._shop.release(effect, SystemClock().now_ms())

    async def refund(self, order_id: str, fence: int | None = None, *, name: str = "clm") -> str:
        """Have the order paid back, as whoever holds it, or nobody."""
        claim_id = None if fence is None else f"{name}_{fence}"
        effect = Refund(
            "f", refund_id(order_id), order_id, "L3", 0, 990, "CNY", None, claim_id, fence
        )
        try:
            return (await self._shop.refund(effect, SystemClock().now_ms())).outcome
        except Permanent:
            return "refused"

    async def tell(self, order_id: str) -> str:
        """Have the buyer told and given a coupon."""
        now_ms = SystemClock().now_ms()
        told = NotifyBuyer("n", f"tell_{order_id}", order_id, "late", "zh-CN", "补发中", now_ms)
        coupon = Compensate("g", f"give_{order_id}", order_id, "coupon", 100, "CNY", "L2", now_ms)
        outcomes = [
            await self._shop.notify(told, now_ms),
            await self._shop.compensate(coupon, now_ms),
        ]
        return " ".join(one.outcome for one in outcomes)

    async def own_delivery(self, order_id: str) -> bool:
        """The shop delivers by itself; whether it was in time."""
        statement = self.stall.make.own_delivery
        return await asyncio.to_thread(self.stall.do, statement, order_id) == 1


@pytest.fixture
async def speaker(stall: Stall) -> AsyncIterator[Speaker]:
    client = HttpClient(config_hosts=[stall.url.removeprefix("http://")])
    yield Speaker(client, stall)
    await client.close()


async def test_claimed_order_is_delivered_once_however_often_it_is_sent(speaker: Speaker) -> None:
    """The same claim gets the same answer, also behind the delivery; the goods stand once."""
    order_id = speaker.stall.order()
    assert [await speaker.claim(order_id) for _ in range(3)] == ["granted"] * 3
    assert not await speaker.own_delivery(order_id)
    assert [await speaker.deliver(order_id) for _ in range(3)] == ["delivered"] * 3
    assert await speaker.claim(order_id) == "granted"
    assert await speaker.claim(order_id, 2) == "already_delivered"
    assert speaker.stall.goods(order_id) == GOODS[0]


async def test_order_that_is_unpaid_unknown_or_delivered_is_not_granted(speaker: Speaker) -> None:
    """The shop's tables decide, whatever an event said."""
    unpaid, done = speaker.stall.order(), speaker.stall.order()
    speaker.stall.do(speaker.stall.make.unpaid, unpaid)
    assert await speaker.own_delivery(done)
    assert await speaker.claim(unpaid) == "denied"
    assert await speaker.claim("999") == "denied"
    assert await speaker.claim(done) == "already_delivered"


async def test_forged_old_or_missing_signature_changes_nothing(speaker: Speaker) -> None:
    """A stranger gets 401 for every route, with the right body under the wrong key or time."""
    order_id, now_ms = speaker.stall.order(), SystemClock().now_ms()
    body = msgspec.json.encode(
        {"order_id": order_id, "claim_id": "x", "fence": 9, "expires_at": "2099-01-01T00:00:00Z",
         "takeover_id": "x", "goods": ["x"], "action_id": "x"}
    )  # fmt: skip
    other, secret = Secret("whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldA=="), Secret(SECRET)
    forged = webhook_headers(other, "m", now_ms, body)
    old = webhook_headers(secret, "m", now_ms - 400 * SECOND_MS, body)
    moved = webhook_headers(secret, "m", now_ms, body + b" ")
    for route in ROUTES:
        for headers in (forged, old, moved, {}):
            url = f"{speaker.stall.url}/{route}"
            answer = await speaker.client.request(
                "POST", url, headers=headers, body=body, timeout_ms=5_000
            )
            assert answer.status == 401
    assert speaker.stall.one("SELECT count(*) FROM dm_claim WHERE order_id = %s", order_id) == 0
    assert await speaker.own_delivery(order_id)


async def test_stale_fence_and_strange_claim_neither_deliver_nor_release(speaker: Speaker) -> None:
    """A newer claim, given back by the older one's end, fences the older one off for good."""
    order_id = speaker.stall.order()
    assert await speaker.claim(order_id, 1) == "granted"
    await speaker.release(order_id, 1)
    assert await speaker.claim(order_id, 2) == "granted"
    assert await speaker.claim(order_id, 1) == "denied"
    assert await speaker.claim(order_id, 2, name="other") == "denied"
    await speaker.release(order_id, 1)
    assert await speaker.deliver(order_id, 1, tko="old") == "refused"
    assert await speaker.deliver(order_id, 2, name="other", tko="old") == "refused"
    assert speaker.stall.goods(order_id) is None
    assert await speaker.deliver(order_id, 2, tko="new") == "delivered"


async def test_released_order_is_the_shops_again(speaker: Speaker) -> None:
    """Its own delivery works, ours is too late."""
    order_id = speaker.stall.order()
    assert await speaker.claim(order_id) == "granted"
    await speaker.release(order_id)
    await speaker.release(order_id)
    assert await speaker.own_delivery(order_id)
    assert await speaker.deliver(order_id) == "already_delivered"
    assert speaker.stall.goods(order_id) == "own"


async def test_claim_that_is_over_can_be_taken_over_by_a_newer_one(speaker: Speaker) -> None:
    """An order must not hang on a monitor that is gone; while the claim holds it is denied."""
    held, over = speaker.stall.order(), speaker.stall.order()
    assert await speaker.claim(held, 1) == await speaker.claim(over, 1, ttl_s=-60) == "granted"
    assert await speaker.claim(held, 2) == "denied"
    assert await speaker.claim(over, 2) == "granted"
    assert await speaker.deliver(over, 1, tko="old") == "refused"
    assert await speaker.deliver(over, 2, tko="new") == "delivered"


async def test_of_many_claims_at_once_one_is_granted(speaker: Speaker) -> None:
    """Eight monitors, one order."""
    order_id = speaker.stall.order()
    claims = [speaker.claim(order_id, 1, name=f"m{n}") for n in range(8)]
    assert sorted(await asyncio.gather(*claims)) == ["denied"] * 7 + ["granted"]


async def test_of_shop_and_monitor_delivering_at_once_one_wins(speaker: Speaker) -> None:
    """The shop's own delivery races the claim and the hand-over; the buyer gets the winner's goods."""
    for _ in range(10):
        order_id = speaker.stall.order()

        async def ours(order_id: str = order_id) -> str:
            status = await speaker.claim(order_id)
            return await speaker.deliver(order_id) if status == "granted" else status

        outcome, is_own = await asyncio.gather(ours(), speaker.own_delivery(order_id))
        assert (outcome == "delivered") is not is_own
        assert speaker.stall.goods(order_id) == ("own" if is_own else GOODS[0])


async def test_of_refund_and_delivery_at_once_one_wins(speaker: Speaker) -> None:
    """Money and goods never both."""
    for _ in range(10):
        order_id = speaker.stall.order()
        assert await speaker.claim(order_id) == "granted"
        refund, delivery = await asyncio.gather(
            speaker.refund(order_id, 1), speaker.deliver(order_id)
        )
        assert (refund, delivery) in (("done", "refused"), ("already_delivered", "delivered"))


async def test_refund_of_an_order_that_somebody_holds_is_the_holders(speaker: Speaker) -> None:
    """A refund without the claim is refused while it holds; a repeat of the right one is done."""
    order_id, free = speaker.stall.order(), speaker.stall.order()
    assert await speaker.claim(order_id) == "granted"
    assert await speaker.refund(order_id) == "refused"
    assert [await speaker.refund(order_id, 1) for _ in range(2)] == ["done", "done"]
    assert await speaker.refund(free) == "done"
    assert await speaker.claim(free) in ("denied", "already_delivered")


async def test_buyer_is_told_and_compensated_once(speaker: Speaker) -> None:
    """Repeats are answered alike and write nothing."""
    order_id = speaker.stall.order()
    assert [await speaker.tell(order_id) for _ in range(2)] == ["done done"] * 2
    count = (
        "SELECT count(*) FROM dm_action WHERE order_id = %s AND kind IN ('notify', 'compensate')"
    )
    assert speaker.stall.one(count, order_id) == 2


@pytest.mark.parametrize("name", ["receiver.php", "receiver.js", "receiver.py"])
def test_receiver_is_short_enough_to_be_read(name: str) -> None:
    """Sixty lines, as an owner can check them."""
    assert len((EXAMPLES / name).read_text().splitlines()) <= 60
