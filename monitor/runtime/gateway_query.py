"""Asks payment gateways about orders whose callback does not come, and about callbacks they deny.

    unpaid order ─► asked ─► paid: `payment.callback` with meaning `paid`, from `gateway:<name>`
    callback said paid ─► asked ─► twice not paid: `payment.callback` with reason `payment_denied`,
                                   and asked further, as an order that is unpaid

One task per gateway, so that one that hangs keeps nobody else waiting. What is asked, and how often,
is decided by `monitor/core/inquiries.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from monitor.core.inquiries import Inquiries
from monitor.core.orders.order import Order
from monitor.model.errors import CapacityError, SourceError, StorageError
from monitor.model.events import EventType, OrderEvent
from monitor.model.faults import Fault
from monitor.model.gateways import Inquiry, Meaning, Reported
from monitor.model.times import HOUR_MS, SECOND_MS
from monitor.ports import Clock

log = logging.getLogger("monitor.gateway_query")

TURN_S = 5.0
QUESTIONS_PER_TURN = 20  # four a second: nobody's gateway should feel it
BACK_OFF_S = (5.0, 10.0, 20.0, 40.0, 60.0)
FOUND_BY_QUERY = "found_by_query"
# What code that reads an answer of a shape nobody has seen may raise: the gateway's trouble, not ours.
MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
STRAY_MS = 2 * HOUR_MS
STRAYS_KEPT = 1_000


class Asker(Protocol):
    """Asks one gateway (`monitor/adapters/gateways/asking.py`)."""

    orders_max: int  # how many orders one question is about

    async def ask(self, inquiries: Sequence[Inquiry]) -> tuple[Reported, ...]:
        """What the gateway says of these orders; raises SourceError."""
        ...


class Submitter(Protocol):
    """The loop's entrance."""

    async def submit(self, entries: Sequence[OrderEvent]) -> tuple[str, ...]:
        """Log and fold."""
        ...


class Asked(msgspec.Struct, frozen=True):
    """A gateway as it is asked: under which name, by whom, in which currency."""

    name: str
    asker: Asker
    currency: str


class GatewayQuery:
    """Asks one gateway for as long as `run` runs.

    `orders` are those in memory, `name_payment` names a payment's number so that it can be stored.
    """

    def __init__(
        self,
        asked: Asked,
        inquiries: Inquiries,
        orders: Callable[[], dict[str, Order]],
        loop: Submitter,
        clock: Clock,
        name_payment: Callable[[str], str],
    ) -> None:
        self._asked = asked
        self._inquiries = inquiries
        self._orders = orders
        self._loop = loop
        self._clock = clock
        self._name_payment = name_payment
        self._failures = 0
        self._strays: dict[str, None] = {}  # told already
        self.name = asked.name
        self.trouble: str | None = None  # why the gateway cannot be asked right now

    async def run(self) -> None:
        """Ask for ever; a gateway that fails is left alone for longer each time."""
        while True:
            began_ms = self._clock.now_ms()
            is_well = await self.turn()
            self._failures = 0 if is_well else self._failures + 1
            took_s = (self._clock.now_ms() - began_ms) / SECOND_MS
            at = min(self._failures, len(BACK_OFF_S)) - 1
            await asyncio.sleep(max(TURN_S - took_s, 0.0) if is_well else BACK_OFF_S[at])

    async def turn(self) -> bool:
        """Ask about what is due now; False if the gateway, or the store, did not take it."""
        name, asker = self._asked.name, self._asked.asker
        self._inquiries.look(self._orders(), self._clock.now_ms())
        try:
            for _ in range(QUESTIONS_PER_TURN):
                due = self._inquiries.choose(name, self._clock.now_ms(), asker.orders_max)
                if not due:
                    break
                await self._take(await self._answers(due))
        except (SourceError, StorageError, CapacityError) as error:
            if not self._failures:
                fields = {"gateway": name, "error": str(error)}
                log.warning("gateway_not_asked", extra={"fields": fields})
            self.trouble = str(error)
            return False
        self.trouble = None
        return True

    async def _answers(self, due: Sequence[Inquiry]) -> tuple[Reported, ...]:
        try:
            return await self._asked.asker.ask(due)
        except MALFORMED as error:
            raise SourceError(f"the answer cannot be read: {type(error).__name__}") from None

    async def _take(self, answers: Sequence[Reported]) -> None:
        """Hand in what is news; an order is let go only once its news are synced."""
        name = self._asked.name
        for answer in answers:
            if answer.is_stray:
                await self._take_stray(answer)
            elif answer.meaning == Meaning.PAID:
                if not self._inquiries.is_evident(name, answer.order_id):
                    await self._loop.submit((self._paid(answer),))
                self._inquiries.settled(name, answer.order_id)
            elif answer.meaning != Meaning.REFUNDED and self._inquiries.denied(
                name, answer.order_id
            ):
                await self._loop.submit((self._denied(answer),))
                self._inquiries.denial_told(name, answer.order_id)

    async def _take_stray(self, answer: Reported) -> None:
        """Money without an order is told once, while it is young: a first look must not tell years."""
        came_ms = answer.paid_at_ms
        is_young = came_ms is not None and self._clock.now_ms() - came_ms <= STRAY_MS
        if is_young and answer.order_id not in self._strays:
            await self._loop.submit((self._without_order(answer),))
            self._strays[answer.order_id] = None
            while len(self._strays) > STRAYS_KEPT:
                del self._strays[next(iter(self._strays))]

    def _paid(self, answer: Reported) -> OrderEvent:
        now_ms = self._clock.now_ms()
        # Of a gateway without numbers of its own the shop may have made up another.
        has_number = answer.trade_no not in ("", answer.order_id)
        is_told = answer.paid_at_ms is not None and answer.paid_at_ms <= now_ms
        return OrderEvent(
            type=EventType.CALLBACK.value,
            order_id=answer.order_id,
            source=f"gateway:{self._asked.name}",
            event_id=f"query:{answer.trade_no or answer.order_id}:paid",
            time_ms=answer.paid_at_ms if is_told and answer.paid_at_ms is not None else now_ms,
            received_ms=now_ms,
            is_inferred=not is_told,
            meaning=Meaning.PAID.value,
            reason=FOUND_BY_QUERY,
            amount_minor=answer.amount_minor,
            currency=self._asked.currency,
            payment=self._name_payment(answer.trade_no) if has_number else None,
        )

    def _denied(self, answer: Reported) -> OrderEvent:
        now_ms = self._clock.now_ms()
        return OrderEvent(
            type=EventType.CALLBACK.value,
            order_id=answer.order_id,
            source=f"gateway:{self._asked.name}",
            event_id=f"query:{answer.trade_no or answer.order_id}:denied",
            time_ms=now_ms,
            received_ms=now_ms,
            is_inferred=True,
            meaning=answer.meaning.value,
            reason=Fault.PAYMENT_DENIED.value,
        )

    def _without_order(self, answer: Reported) -> OrderEvent:
        """An order of its own stands for the money; its provider keeps it from being asked about."""
        now_ms, name = self._clock.now_ms(), self._asked.name
        return OrderEvent(
            type=EventType.CALLBACK.value,
            order_id=f"{name}-{answer.order_id}",
            source=f"gateway:{name}",
            event_id="stray",
            time_ms=answer.paid_at_ms or now_ms,
            received_ms=now_ms,
            meaning=Meaning.UNKNOWN.value,
            reason=Fault.PAYMENT_WITHOUT_ORDER.value,
            provider=f"gateway:{name}",
            amount_minor=answer.amount_minor,
            currency=self._asked.currency,
        )
