"""The relay: store, forward, answer.

    gateway ─► store (synced) ─► desk ─► shop
                  │                        │
                  └─ repeats: the record   ├─ accepted within the gateway's patience ─► its answer
                                           └─ else, of money: yes in the gateway's words, and a duty

What the desk decides is done here. A callback that cannot be stored goes to the shop all the same,
and its answer back: nobody is worse off than without a relay.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping

from monitor.core.relay.answers import says_no_order, verdict_of
from monitor.core.relay.desk import Forward, Item, Moves, ShopDesk
from monitor.core.relay.pace import Allowance
from monitor.model.errors import InputError, NotFoundError, StorageError
from monitor.model.gateways import Callback, Signature
from monitor.model.relay import (
    MARK,
    Arrival,
    Closing,
    Kind,
    News,
    Receipt,
    RelayCounts,
    RelayLimits,
    ShopReply,
    State,
    StoredItem,
    StoredRequest,
    Verdict,
)
from monitor.model.shops import RawRequest
from monitor.model.times import SECOND_MS, format_duration
from monitor.ports import Clock
from monitor.runtime.relay_news import Teller
from monitor.runtime.relay_notes import notes_of
from monitor.runtime.relay_ports import Relayed, Store, Tell, Wire
from monitor.runtime.relay_words import (
    TOO_SLOW,
    UNREACHED,
    answer_of,
    arrival_of,
    news_of,
    patience_ms,
    plain_of,
)
from monitor.runtime.supervisor import Group, Supervisor

log = logging.getLogger("monitor.relay")

REFUSALS_TOLD = 8  # after about two minutes of no a person should look
HOUSEKEEPING_S = 10.0  # what grows within it is not bounded by the store
PASSING_MAX = 64
RETRY_LOAD_S = 5.0
LOADED_S = 2.0

BUSY = ShopReply(503, (("Retry-After", "5"),), b"too many requests that nobody can read\n")

Outcome = tuple[State, ShopReply | None]


class Relay:
    """Takes callbacks of all configured relays; all methods are called from one event loop."""

    def __init__(
        self,
        store: Store,
        wire: Wire,
        clock: Clock,
        supervisor: Supervisor,
        tell: Tell,
        name_payment: Callable[[str], str],
        heard: Callable[[str, Callback], None] = lambda gateway, callback: None,
        limits: RelayLimits | None = None,
    ) -> None:
        self._store = store
        self._wire = wire
        self._clock = clock
        self._tasks = Group(supervisor)
        self._teller = Teller(store, tell, name_payment)
        self._heard = heard
        self._limits = limits or RelayLimits()
        self._relays: Mapping[str, Relayed] = {}
        self._desks: dict[str, ShopDesk] = {}
        self._waiters: dict[int, list[asyncio.Future[Outcome]]] = {}
        self._bodies: dict[int, StoredRequest] = {}  # of rows whose gateway waits
        self._refusals: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._allowances: dict[str, Allowance] = {}  # of what nobody can read, by relay
        self._passing: Counter[str] = (
            Counter()
        )  # of that, how many are at the shop without being kept
        self._counts = RelayCounts()
        self._is_running = False
        self._is_loaded = asyncio.Event()  # what the last process owed is at the desks
        self.past_the_store = 0  # callbacks that could not be kept

    # --- life ---------------------------------------------------------------------------------------

    def renew(self, relays: Mapping[str, Relayed]) -> None:
        """Work with these from now on; where none ever was no file is made."""
        self._relays = relays
        if not self._is_running and (relays or self._store.is_there):
            self._is_running = True
            self._tasks.spawn("relay", self._run())
            self._tasks.spawn("relay news", self._teller.run())
        for desk in self._desks.values():
            self._do(desk, desk.resume(self._clock.now_ms()))

    async def stop(self) -> None:
        """Send no more; what is owed is in the file."""
        self._is_running = False
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.stop()
        await self._store.close()

    def notes(self) -> list[str]:
        """What an operator must be told."""
        found = notes_of(self._desks, self._counts, self._clock.now_ms())
        if self._store.is_full:
            found.append("relay: relay.db is full: callbacks that no key checks are only passed on")
        if self._store.trouble is not None and self._is_running:
            found.append(
                f"relay: callbacks are passed on without being kept: {self._store.trouble}"
            )
        return found

    # --- one callback -------------------------------------------------------------------------------

    async def take(self, name: str, request: RawRequest, rest: str) -> ShopReply:
        """Keep a callback, forward it, and return what the gateway is told.

        `rest` is what the target has behind the address of the relay.

        Raises: NotFoundError; InputError `loop` for what the relay itself has sent.
        """
        relayed = self._relays.get(name)
        if relayed is None:
            raise NotFoundError(f"no relay {name} is configured", hint="see relays in monitor.yaml")
        if request.header(MARK):
            raise InputError(
                "this came through the relay already", code="loop",
                hint="let forward lead to the shop itself, past the web server's relay",
            )  # fmt: skip
        desk = self._desk(relayed.settings.shop)
        arrival = arrival_of(
            relayed, request, rest,
            lambda signature: desk.has_room(signature)
            and (signature is Signature.VALID or not self._store.is_full),
        )  # fmt: skip
        self._heard(relayed.settings.access, arrival.callback)
        if arrival.kind == Kind.PLAIN and not self._allowed(name):
            return await self._passed(relayed, arrival)
        try:
            receipt = await self._receive(desk, arrival)
        except StorageError as error:
            self.past_the_store += 1
            log.error("callback_not_kept", extra={"fields": {"relay": name, "error": str(error)}})
            return await self._passed(relayed, arrival)
        if receipt.is_conflict:
            log.warning("callback_conflict", extra={"fields": {"relay": name, "row": receipt.row}})
        if receipt.answer is not None:
            return receipt.answer
        return await self._exchanged(relayed, desk, arrival, receipt)

    async def _receive(self, desk: ShopDesk, arrival: Arrival) -> Receipt:
        """Store a callback; one whose key was closed while it was being stored is looked up again."""
        try:
            async with asyncio.timeout(LOADED_S):
                await self._is_loaded.wait()
        except TimeoutError:
            raise StorageError("relay.db could not be read yet") from None
        for _ in range(3):
            receipt = await self._store.arrive(arrival)
            is_first = receipt.is_new and receipt.item == receipt.row
            if receipt.answer is not None or is_first or receipt.item in desk.items:
                return receipt
        raise StorageError("a callback is kept, and not at work")

    async def _passed(self, relayed: Relayed, arrival: Arrival) -> ShopReply:
        """Only pass a request on: nothing is kept, so nothing is owed."""
        settings = relayed.settings
        is_stranger = arrival.kind == Kind.PLAIN
        if is_stranger and self._passing[settings.name] >= PASSING_MAX:
            return BUSY
        stored = StoredRequest(arrival.request, arrival.rest)
        self._passing[settings.name] += is_stranger
        try:
            reply = await self._wire.send(settings.forward, settings.host, stored, "unkept")
        finally:
            self._passing[settings.name] -= is_stranger
        return reply or UNREACHED

    def _allowed(self, name: str) -> bool:
        return self._allowances.setdefault(name, Allowance()).take(self._clock.now_ms())

    async def _exchanged(
        self, relayed: Relayed, desk: ShopDesk, arrival: Arrival, receipt: Receipt
    ) -> ShopReply:
        """Wait for the shop as long as the gateway waits."""
        number = receipt.item
        known = desk.items.get(number)
        if known is None or receipt.is_new:
            self._bodies[receipt.row] = StoredRequest(arrival.request, arrival.rest)
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = self._waiters.setdefault(number, [])
        waiting.append(waiter)
        now_ms = self._clock.now_ms()
        self._do(
            desk,
            desk.arrive(number, receipt.row, arrival.relay, arrival.order, arrival.kind, now_ms),
        )
        if known is not None and known.is_taken:
            self._forget(number, receipt.row, waiter)
            return ShopReply.of(relayed.gateway.acknowledgement)
        try:
            async with asyncio.timeout(patience_ms(relayed) / SECOND_MS):
                state, reply = await waiter
        except TimeoutError:
            return self._left(relayed, desk, arrival.kind, receipt)
        finally:
            self._forget(number, receipt.row, waiter)
        return answer_of(relayed, arrival.kind, state, reply)

    def _left(self, relayed: Relayed, desk: ShopDesk, kind: Kind, receipt: Receipt) -> ShopReply:
        """The gateway's patience ends: of money, the relay says yes and owes it."""
        item = desk.items.get(receipt.item)
        if kind != Kind.DUTY:
            if item is not None and len(self._waiters.get(receipt.item, ())) <= 1:
                self._do(desk, desk.left(receipt.item, self._clock.now_ms()))
                if receipt.item not in desk.items:
                    self._close(receipt.item, receipt.row, State.PASSED, (News.PASSED,))
            return TOO_SLOW
        if item is not None:
            self._take_over(item)
            self._do(desk, desk.left(receipt.item, self._clock.now_ms()))
        return ShopReply.of(relayed.gateway.acknowledgement)

    # --- what the desk decided ----------------------------------------------------------------------

    def _do(self, desk: ShopDesk, moves: Moves) -> None:
        for forward in moves.forwards:
            self._tasks.spawn("relay forward", self._forward(desk, forward))
        for number in moves.held:
            item = desk.items.get(number)
            if item is not None:
                self._take_over(item)
                self._resolve(number, (State.OWED, None))
            else:
                self._close(number, number, State.PASSED, (News.PASSED,))
                self._resolve(number, (State.PASSED, None))
        for number in moves.over:
            self._close(number, number, State.UNDELIVERED, (News.UNDELIVERED,))
            fields = {"callback": number, "after": format_duration(self._limits.deadline_ms)}
            log.error("callback_undelivered", extra={"fields": fields})
        self._set_timer()

    async def _forward(self, desk: ShopDesk, forward: Forward) -> None:
        """One request to the shop, and what its answer comes to."""
        item = desk.items[forward.item]
        relayed = self._relays.get(item.relay)
        reply, verdict = None, Verdict.UNCLEAR  # of a relay that was taken out of the file
        if relayed is not None:
            reply, verdict = await self._asked(relayed, forward)
        now_ms = self._clock.now_ms()
        state, moves = desk.answered(forward.item, verdict, now_ms)
        if state in (State.ACCEPTED, State.PASSED):
            news = news_of(item.kind, state, verdict)
            self._close(forward.item, forward.row, state, news, reply)
        elif state == State.OWED:
            self._note_failure(item, forward, verdict, reply)
        self._resolve(forward.item, (state, reply))
        self._do(desk, moves)

    async def _asked(self, relayed: Relayed, forward: Forward) -> tuple[ShopReply | None, Verdict]:
        stored = self._bodies.pop(forward.row, None)
        if stored is None:
            try:
                stored = await self._store.request(forward.row)
            except StorageError as error:
                log.error("callback_unreadable", extra={"fields": {"error": str(error)}})
                return None, Verdict.UNCLEAR
        settings = relayed.settings
        mark = f"{forward.item}; attempt={forward.attempt}"
        reply = await self._wire.send(settings.forward, settings.host, stored, mark)
        if reply is None:
            return None, Verdict.DOWN
        judged = relayed.gateway.shop_accepted(reply.status, plain_of(reply))
        return reply, verdict_of(reply.status, judged)

    def _note_failure(
        self, item: Item, forward: Forward, verdict: Verdict, reply: ShopReply | None
    ) -> None:
        self._store.attempted(item.item, item.attempts, item.due_ms)
        self._take_over(item)
        news: list[News] = []
        if verdict == Verdict.REFUSED:
            news.append(News.REJECTED)
            refusals = self._refusals[item.item] = self._refusals.get(item.item, 0) + 1
            if reply is not None and says_no_order(plain_of(reply)):
                news.append(News.NO_ORDER)
            elif refusals >= REFUSALS_TOLD:
                news.append(News.UNDELIVERED)
        if news:
            self._store.tell(item.item, forward.row, news, self._clock.now_ms())
            self._teller.wake()

    def _take_over(self, item: Item) -> None:
        """From here on the gateway has a yes, and the relay the duty; told once."""
        if not item.is_taken:
            item.is_taken = True
            self._store.tell(item.item, item.item, (News.TAKEN,), self._clock.now_ms())
            self._teller.wake()

    def _close(
        self,
        number: int,
        row: int,
        state: State,
        news: tuple[News, ...],
        reply: ShopReply | None = None,
    ) -> None:
        self._refusals.pop(number, None)
        self._store.closed(Closing(number, row, state, self._clock.now_ms(), reply), news)
        self._teller.wake()

    def _resolve(self, number: int, outcome: Outcome) -> None:
        for waiter in self._waiters.pop(number, ()):
            if not waiter.done():
                waiter.set_result(outcome)

    def _forget(self, number: int, row: int, waiter: asyncio.Future[Outcome]) -> None:
        """Nobody waits with this future any more; the body is read from the file from now on."""
        waiting = self._waiters.get(number)
        if waiting is not None and waiter in waiting:
            waiting.remove(waiter)
            if not waiting:
                del self._waiters[number]
        self._bodies.pop(row, None)

    # --- time ---------------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Take up what the last process left, then keep house."""
        await self._load()
        while True:
            try:
                while await self._store.trim(self._clock.now_ms()):
                    pass
                self._counts = await self._store.counts()
            except StorageError as error:
                log.error("relay_store_unusable", extra={"fields": {"error": str(error)}})
            await asyncio.sleep(HOUSEKEEPING_S)

    async def _load(self) -> None:
        """Bring all that is owed to the desks, also of relays that are not configured any more."""
        stored: list[StoredItem] | None = None
        while stored is None:
            try:
                stored = await self._store.open_items(self._clock.now_ms())
            except StorageError as error:
                log.error("relay_store_unusable", extra={"fields": {"error": str(error)}})
                await asyncio.sleep(RETRY_LOAD_S)
        for one in stored:
            self._desk(one.relay.partition("/")[0]).restore(one)
        self._is_loaded.set()
        self._teller.wake()
        self._tick()

    def _tick(self) -> None:
        now_ms = self._clock.now_ms()
        for desk in self._desks.values():
            self._do(desk, desk.tick(now_ms))

    def _set_timer(self) -> None:
        """Wake up when something is due that no answer will bring."""
        times = [at_ms for desk in self._desks.values() if (at_ms := desk.wake_ms()) is not None]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if times:
            delay_ms = min(max(min(times) - self._clock.now_ms(), 1), HOUSEKEEPING_S * SECOND_MS)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay_ms / SECOND_MS, self._tick)

    def _desk(self, shop: str) -> ShopDesk:
        if shop not in self._desks:
            self._desks[shop] = ShopDesk(self._limits, lambda relay: relay in self._relays)
        return self._desks[shop]
