"""The shop of a crash round: one row per order, moved by compare-and-set, and its own outbox.

It is the shop that the contract asks for: a claim is an answer that stays, an order is delivered or
refunded once, goods that come too late are refused. What it cannot do is stop a primary channel
that has the order already: that one may deliver late, in the middle of a takeover.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp
import msgspec

from monitor.model.times import format_rfc3339
from tests.crash import stage
from tests.crash.faults import share01
from tests.crash.ledger import Ledger, now_ms

PRICE_MINOR = 1_500
POOLED = 0.12  # of the orders are for goods that the pool has
REFUND, PAIRS = 0.05, 0.1
ORDERS_EACH = 3
UNTIMED = 0.3  # of the events say nothing of when it happened
REFUND_S = (1.0, 7.0)  # after the payment the buyer wants the money back
LATE_S = (0.05, 2.5)  # after the claim the primary delivers what it had already
BATCH = 50
TYPES = {"paid": "order.paid", "delivered": "delivery.delivered", "refunded": "order.refunded"}
Json = dict[str, Any]
Act = Callable[[Json], tuple[int, Json]]


def customer_of(order_id: str) -> str:
    """Who bought: a few orders each, near in time."""
    return f"buyer-{int(order_id.rsplit('-', 1)[1]) // ORDERS_EACH}"


def _done(_asked: Json) -> tuple[int, Json]:
    return 200, {"status": "done"}


class Row(msgspec.Struct):
    """One order; `state`: paid, delivered, refunded."""

    order_id: str
    sku: str
    quantity: int
    paid_ms: int
    state: str = "paid"
    by: str = ""
    claim: Json | None = None
    fence: int = 0
    body: str = ""  # hash of the first hand-over


class Shop:
    """Sells for a while and remembers everything."""

    def __init__(
        self, ledger: Ledger, seed: str, orders: int, per_s: float, late_primary: float
    ) -> None:
        self.rows: dict[str, Row] = {}
        self._ledger = ledger
        self._seed = seed
        self._orders = orders
        self._per_s = per_s
        self._late_primary = late_primary  # share of the orders
        self._outbox: deque[Json] = deque()
        self._news = asyncio.Event()
        self._number = 0
        self._actions: dict[str, tuple[int, Json]] = {}  # by id, what was answered

    # --- doors --------------------------------------------------------------------------------------

    def claim(self, asked: Json, _body: bytes) -> tuple[int, Json]:
        """Grant once per claim id; the same claim gets the same answer."""
        row = self.rows[asked["order_id"]]
        self._ledger.write(
            "claim", order_id=row.order_id, fence=asked["fence"], ref=asked["claim_id"]
        )
        if row.claim is not None and row.claim["claim_id"] == asked["claim_id"]:
            return 200, row.claim["answer"]
        if row.state == "delivered":
            return 200, {"status": "already_delivered"}
        if row.state != "paid" or asked["fence"] <= row.fence:
            return 200, {"status": "denied"}
        answer = {
            "status": "granted", "paid": True, "sku": row.sku, "quantity": row.quantity,
            "amount_minor": PRICE_MINOR * row.quantity,
        }  # fmt: skip
        row.fence = asked["fence"]
        row.claim = {"claim_id": asked["claim_id"], "answer": answer}
        if share01("late", row.order_id) < self._late_primary:
            self._later(row, LATE_S, "delivered", "primary")
        return 200, answer

    def deliver(self, asked: Json, body: bytes) -> tuple[int, Json]:
        """Take goods once; a repeat is recognised by its takeover and must be the same bytes."""
        row = self.rows[asked["order_id"]]
        digest = hashlib.sha256(body).hexdigest()[:16]
        takeover_id, goods = asked["takeover_id"], tuple(asked["goods"])
        self._ledger.write(
            "offered", order_id=row.order_id, ref=takeover_id, goods=goods, fence=asked["fence"],
            detail=digest,
        )  # fmt: skip
        if row.by == takeover_id:
            return 200, {"status": "delivered"}
        if row.state == "delivered":
            return 409, {"status": "already_delivered"}
        is_ours = row.claim is not None and row.claim["claim_id"] == asked["claim_id"]
        if row.state != "paid" or not is_ours or asked["fence"] != row.fence:
            return 409, {"status": "refused"}
        self._close(row, "delivered", takeover_id, goods=goods)
        return 200, {"status": "delivered"}

    def release(self, asked: Json, _body: bytes) -> tuple[int, Json]:
        """Have the order back."""
        row = self.rows[asked["order_id"]]
        if row.claim is not None and row.claim["claim_id"] == asked["claim_id"]:
            row.claim = None
        return 200, {"status": "released"}

    # --- what playbooks ask for ---------------------------------------------------------------------

    def notify(self, asked: Json, body: bytes) -> tuple[int, Json]:
        """Tell the buyer, once per action."""
        return self._once("told", asked, body, _done)

    def compensate(self, asked: Json, body: bytes) -> tuple[int, Json]:
        """Give a coupon, once per action."""
        return self._once("given", asked, body, _done)

    def refund(self, asked: Json, body: bytes) -> tuple[int, Json]:
        """Pay back what is neither delivered nor held by somebody else."""
        return self._once("back", asked, body, self._pay_back)

    def _pay_back(self, asked: Json) -> tuple[int, Json]:
        row = self.rows[asked["order_id"]]
        if row.state != "paid":
            return 409, {"status": f"already_{row.state}"}
        if row.claim is not None and row.claim["claim_id"] != asked.get("claim_id"):
            return 403, {"status": "refused"}
        self._close(row, "refunded", "playbook")
        return 200, {"status": "done"}

    def _once(self, kind: str, asked: Json, body: bytes, act: Act) -> tuple[int, Json]:
        """Do an action once; a repeat gets the same answer."""
        action_id = asked["action_id"]
        known = self._actions.get(action_id)
        self._ledger.write(
            kind, order_id=asked["order_id"], ref=action_id, who="repeat" if known else "",
            detail=hashlib.sha256(body).hexdigest()[:16], amount_minor=asked.get("amount_minor", 0),
        )  # fmt: skip
        answer = self._actions[action_id] = known or act(asked)
        return answer

    # --- people -------------------------------------------------------------------------------------

    def person(self, order_id: str, does: str) -> None:
        """A person delivers by hand, or gives the money back."""
        row = self.rows[order_id]
        self._ledger.write("person", order_id=order_id, detail=does)
        if row.state == "paid" and does != "nothing":
            self._close(row, does, "person")

    def truth(self, order_id: str) -> Json:
        """Where an order is."""
        return {"state": self.rows[order_id].state}

    def standing(self) -> Json:
        """How far the shop is."""
        waiting = [row.order_id for row in self.rows.values() if row.state == "paid"]
        return {"sold": len(self.rows), "to_sell": self._orders - len(self.rows),
                "waiting": waiting, "untold": len(self._outbox)}  # fmt: skip

    # --- trade --------------------------------------------------------------------------------------

    async def trade(self, session: aiohttp.ClientSession, monitor_url: str) -> None:
        """Sell, race, and tell the monitor until it says 202."""
        loop = asyncio.get_running_loop()
        teller = loop.create_task(self._tell(session, monitor_url))
        for number in range(self._orders):
            self._sell(number)
            await asyncio.sleep(1 / self._per_s)
        await teller

    def _sell(self, number: int) -> None:
        order_id = f"{self._seed}-{number}"
        is_pooled = share01("pooled", order_id) < POOLED
        quantity = 2 if share01("pair", order_id) < PAIRS else 1
        row = Row(order_id, stage.POOL_SKU if is_pooled else stage.SKU, quantity, now_ms())
        self.rows[order_id] = row
        self._ledger.write("paid", order_id=order_id)
        self._say("paid", row, row.paid_ms)
        if share01("refund", order_id) < REFUND:
            self._later(row, REFUND_S, "refunded", "buyer")

    def _later(self, row: Row, within_s: tuple[float, float], state: str, by: str) -> None:
        low_s, high_s = within_s
        delay_s = low_s + (high_s - low_s) * share01("when", by, row.order_id)
        asyncio.get_running_loop().call_later(delay_s, self._race, row, state, by)

    def _race(self, row: Row, state: str, by: str) -> None:
        if row.state == "paid":
            self._close(row, state, by)

    def _close(self, row: Row, state: str, by: str, goods: tuple[str, ...] = ()) -> None:
        row.state, row.by = state, by
        self._ledger.write(state, order_id=row.order_id, ref=by, goods=goods)
        self._say(state, row, now_ms())

    def _say(self, what: str, row: Row, at_ms: int) -> None:
        self._number += 1
        event: Json = {
            "id": f"{self._seed}-e{self._number}", "source": "shop", "type": TYPES[what],
            "order_id": row.order_id, "time": format_rfc3339(at_ms), "channel": "auto",
            "sku": row.sku, "quantity": row.quantity, "amount_minor": PRICE_MINOR * row.quantity,
            "currency": "CNY", "customer_hash": customer_of(row.order_id),
        }  # fmt: skip
        if share01("untimed", self._seed, self._number) < UNTIMED:
            del event["time"]
        if row.by.startswith("tko"):
            event["takeover_id"] = row.by
        self._outbox.append(event)
        self._news.set()

    async def _tell(self, session: aiohttp.ClientSession, monitor_url: str) -> None:
        while True:
            if not self._outbox:
                self._news.clear()
                await self._news.wait()
            batch = [self._outbox[at] for at in range(min(BATCH, len(self._outbox)))]
            try:
                async with session.post(f"{monitor_url}/v1/events", json=batch) as answer:
                    is_taken = answer.status in (202, 400)
                    if answer.status == 400:
                        self._ledger.write("refused", detail=await answer.text())
            except (aiohttp.ClientError, TimeoutError):
                is_taken = False
            if is_taken:
                for _ in batch:
                    self._outbox.popleft()
            else:
                await asyncio.sleep(0.1)
