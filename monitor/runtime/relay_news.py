"""Tells the monitor of callbacks: each piece of news is kept in the store until it is synced in the log.

So an event comes also when the shop is down, when the state is being rebuilt, and after a crash.
Its id is made of the payment's number, its meaning and what became of it: repeats deduplicate.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from monitor.model.errors import CapacityError, StorageError
from monitor.model.events import EventType, OrderEvent
from monitor.model.faults import Fault
from monitor.model.gateways import Meaning, Signature
from monitor.model.ids import derived_id
from monitor.model.relay import News, Told
from monitor.model.times import DAY_MS, MINUTE_MS
from monitor.runtime.relay_ports import Store, Tell

log = logging.getLogger("monitor.relay")

RETRY_S = 1.0
GATHERED_S = 0.2  # many pieces are one entry of the log
PAID_BEFORE_MS_MAX = 30 * DAY_MS  # a gateway that tells an older time has a wrong clock
PAID_AFTER_MS_MAX = 5 * MINUTE_MS

MONEY = (Meaning.PAID, Meaning.REFUNDED)  # a stranger may say so where no key is configured
_OUTCOMES = {News.OK: "ok", News.REJECTED: "rejected", News.NO_ORDER: "rejected"}
_REASONS = {
    News.TAKEN: "taken_over",
    News.NO_ORDER: Fault.PAYMENT_WITHOUT_ORDER.value,
    News.UNDELIVERED: Fault.CALLBACK_UNDELIVERED.value,
}


class Teller:
    """Hands news to the monitor, the oldest first; `wake` when there is some."""

    def __init__(self, store: Store, tell: Tell, name_payment: Callable[[str], str]) -> None:
        self._store = store
        self._tell = tell
        self._name_payment = name_payment
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something to tell."""
        self._wake.set()

    async def run(self) -> None:
        """Tell for ever."""
        while True:
            try:
                while news := await self._store.untold():
                    events = (event_of(one, self._name_payment) for one in news)
                    await self._tell(tuple(one for one in events if one.order_id))
                    await self._store.told([one.news_id for one in news])
            except (StorageError, CapacityError):
                await asyncio.sleep(RETRY_S)  # the state is being rebuilt, or the disk is full
                continue
            await self._wake.wait()
            await asyncio.sleep(GATHERED_S)
            self._wake.clear()


def is_evidence(told: Told) -> bool:
    """Whether what a callback says counts: it is signed, or the shop has accepted it."""
    return told.callback.signature is Signature.VALID or told.news == News.OK


def event_of(told: Told, name_payment: Callable[[str], str]) -> OrderEvent:
    """The event that says what a callback meant and what the shop made of it."""
    callback, received_ms = told.callback, told.received_ms
    shop, _, gateway = told.relay.partition("/")
    is_forged = callback.signature is Signature.INVALID
    said = Meaning.UNKNOWN if is_forged else callback.meaning
    is_open = said in MONEY and not is_evidence(told)
    meaning = Meaning.UNKNOWN if is_open else said
    unproven = ("unproven",) if is_open else ()
    paid_ms = callback.paid_at_ms
    is_known = paid_ms is not None and (
        received_ms - PAID_BEFORE_MS_MAX <= paid_ms <= received_ms + PAID_AFTER_MS_MAX
    )
    time_ms = paid_ms if is_known and paid_ms is not None else received_ms
    payment = name_payment(callback.trade_no) if callback.trade_no else None
    return OrderEvent(
        type=EventType.CALLBACK,
        order_id=callback.order_id,
        source=shop,
        event_id=derived_id("relay", gateway, payment or "", said, told.news, *unproven),
        time_ms=time_ms,
        received_ms=told.at_ms,
        is_inferred=not is_known,
        meaning=meaning,
        outcome=_OUTCOMES.get(told.news),
        amount_minor=None if is_open else callback.amount_minor,
        currency=None if is_open or callback.amount_minor is None else callback.currency,
        provider=gateway,
        reason="bad_signature" if is_forged else _REASONS.get(told.news),
        # Of a gateway without numbers of its own the shop may have made up another.
        payment=payment
        if meaning == Meaning.PAID and callback.trade_no != callback.order_id
        else None,
    )
