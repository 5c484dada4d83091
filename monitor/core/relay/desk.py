"""One shop's callbacks: what is sent next, what waits, and what is owed.

    arrive ─► fresh ──┐                     ┌─► accepted, passed: gone
                      ├─► at most `parallel`┤
    owed (by time) ───┘   one per order     └─► owed again, later

While the shop is down only one request at a time tries whether it is back; who comes meanwhile is
told at once that the relay owes it (or, of what is no duty, that the shop is not there).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

import msgspec

from monitor.core.relay.duty import OF_VERDICT, Input, moved
from monitor.core.relay.pace import Circuit, retry_ms
from monitor.model.gateways import Signature
from monitor.model.relay import Kind, RelayLimits, State, StoredItem, Verdict


class Forward(msgspec.Struct, frozen=True):
    """Send the body of a row to the shop; `attempt` counts from 1."""

    item: int
    row: int
    attempt: int


class Moves(msgspec.Struct, frozen=True):
    """What follows: requests to send, and items whose gateway need not wait any longer."""

    forwards: tuple[Forward, ...] = ()
    held: tuple[int, ...] = ()
    over: tuple[int, ...] = ()


class Item:
    """One callback that is not done; its rows are the bodies that came under its key."""

    __slots__ = (
        "attempts", "deadline_ms", "due_ms", "is_down", "is_taken", "item", "kind", "order",
        "received_ms", "relay", "rows", "state", "untried",
    )  # fmt: skip

    def __init__(
        self, item: int, relay: str, order: str, kind: Kind, received_ms: int, deadline_ms: int
    ) -> None:
        self.item = item
        self.relay = relay
        self.order = order
        self.kind = kind
        self.received_ms = received_ms
        self.deadline_ms = deadline_ms
        self.state = State.WAITING
        self.rows = [item]  # in the order of their turns: the newest first, its signature is fresh
        self.untried = 1  # so many at the front were never sent
        self.attempts = 0
        self.due_ms = received_ms
        self.is_down = False  # it waits because the shop is down, not because it was refused
        self.is_taken = False  # the gateway was answered in the place of the shop

    def next_row(self) -> int:
        """The body whose turn it is."""
        row = self.rows.pop(0)
        self.rows.append(row)
        self.untried = max(0, self.untried - 1)
        return row


class ShopDesk:
    """Decides for one shop; pure but for its own memory, time is an argument.

    What is owed of a relay that `is_served` denies is not sent: it waits for `resume`, or its deadline.
    """

    def __init__(
        self, limits: RelayLimits, is_served: Callable[[str], bool] = lambda relay: True
    ) -> None:
        self.limits = limits
        self.is_served = is_served
        self.circuit = Circuit()
        self.items: dict[int, Item] = {}
        self.in_flight = 0
        self._fresh: deque[Item] = deque()
        self._owed: list[tuple[int, int]] = []  # due, item; out of date where they differ from it
        self._deadlines: list[tuple[int, int]] = []
        self._aside: dict[int, Item] = {}  # due, and nobody knows where to send them
        self._busy: dict[str, deque[Item]] = {}  # orders with a request at the shop, and who waits
        self._is_owed_turn = False

    def has_room(self, signature: Signature) -> bool:
        """Whether a further duty can be taken on; anybody can make up those that nobody checks."""
        is_valid = signature is Signature.VALID
        return len(self.items) < (self.limits.open_max if is_valid else self.limits.unchecked_max)

    def restore(self, stored: StoredItem) -> None:
        """Take up what was owed when the process ended; what is at work already stays as it is."""
        if stored.item in self.items:
            return
        item = self._made(
            stored.item, stored.relay, stored.order, stored.kind, stored.received_ms
        )  # fmt: skip
        item.rows, item.untried = list(reversed(stored.rows)), 0
        item.attempts, item.is_taken = stored.attempts, True
        item.state, item.due_ms = State.OWED, min(stored.due_ms, item.deadline_ms)
        heappush(self._owed, (item.due_ms, item.item))

    def arrive(
        self, number: int, row: int, relay: str, order: str, kind: Kind, now_ms: int
    ) -> Moves:  # fmt: skip
        """A callback came; under a number that is known it is a repeat, maybe in another body."""
        known = self.items.get(number)
        if known is not None:
            return self._another(known, row, now_ms)
        item = self._made(number, relay, order, kind, now_ms)
        item.rows = [row]
        if self.circuit.is_open and (self.in_flight or not self.circuit.may_probe(now_ms)):
            self._hold(item, now_ms)
            return Moves(held=(number,))
        self._fresh.append(item)
        return Moves(self._pump(now_ms))

    def left(self, number: int, now_ms: int) -> Moves:
        """The gateway of an item waits no longer."""
        item = self.items.get(number)
        if item is None:
            return Moves()
        was = item.state
        item.state = moved(item.kind, was, Input.LEFT)
        if item.state == State.PASSED:
            del self.items[number]
        elif item.state == State.OWED and was == State.WAITING:
            self._owe(item, now_ms)
        return Moves(self._pump(now_ms))

    def answered(self, number: int, verdict: Verdict, now_ms: int) -> tuple[State, Moves]:
        """A request came back: the state of its item, and what follows."""
        item = self.items[number]
        self.in_flight -= 1
        item.state = moved(item.kind, item.state, OF_VERDICT[verdict])
        self._release(item.order)
        held: tuple[int, ...] = ()
        if verdict == Verdict.DOWN:
            item.is_down = True
            self.circuit.failed(now_ms)
            if self.circuit.is_open:
                held = self._hold_all(now_ms)
        else:
            item.is_down = False
            if self.circuit.answered():
                self._call_up(now_ms)
        over: tuple[int, ...] = ()
        if item.state != State.OWED:
            del self.items[number]
        elif now_ms >= item.deadline_ms:
            over = (self._over(item),)
        else:
            self._owe(item, now_ms + _delay_ms(item, verdict))
        return item.state, Moves(self._pump(now_ms), held, over)

    def tick(self, now_ms: int) -> Moves:
        """What is due at a time."""
        over = []
        while self._deadlines and self._deadlines[0][0] <= now_ms:
            item = self.items.get(heappop(self._deadlines)[1])
            if item is not None and item.state == State.OWED:
                over.append(self._over(item))
        return Moves(self._pump(now_ms), over=tuple(over))

    def resume(self, now_ms: int) -> Moves:
        """Other relays are served from now on: who waited for one of them comes next."""
        aside, self._aside = self._aside, {}
        for item in aside.values():
            if item.state == State.OWED:
                self._owe(item, now_ms)
        return Moves(self._pump(now_ms))

    def wake_ms(self) -> int | None:
        """When something is due that no answer will bring; None: nothing is."""
        deadline_ms = self._deadlines[0][0] if self._deadlines else None
        self._forget_outdated()
        if not self._owed or self.in_flight >= self._room():
            return deadline_ms
        due_ms = self._owed[0][0]
        if self.circuit.is_open:
            due_ms = max(due_ms, self.circuit.probe_ms)
        return due_ms if deadline_ms is None else min(due_ms, deadline_ms)

    # --- inside -------------------------------------------------------------------------------------

    def _made(self, number: int, relay: str, order: str, kind: Kind, received_ms: int) -> Item:
        deadline_ms = received_ms + self.limits.deadline_ms
        item = Item(number, relay, order, kind, received_ms, deadline_ms)
        self.items[number] = item
        if kind == Kind.DUTY:
            heappush(self._deadlines, (deadline_ms, number))
        return item

    def _another(self, known: Item, row: int, now_ms: int) -> Moves:
        """Another body is due at once, and once: what was refused before it may be a forger's."""
        if row in known.rows:
            return Moves()
        known.rows.insert(0, row)
        known.untried += 1
        if known.state != State.OWED:
            return Moves()
        self._owe(known, now_ms)
        return Moves(self._pump(now_ms))

    def _room(self) -> int:
        return 1 if self.circuit.is_open else self.limits.parallel

    def _pump(self, now_ms: int) -> tuple[Forward, ...]:
        """Send as much as there is room for."""
        forwards: list[Forward] = []
        while self.in_flight < self._room():
            if self.circuit.is_open and not self.circuit.may_probe(now_ms):
                break
            item = self._next(now_ms)
            if item is None:
                break
            item.state = moved(item.kind, item.state, Input.SEND)
            item.attempts += 1
            self.in_flight += 1
            if item.order:
                self._busy[item.order] = deque()
            forwards.append(Forward(item.item, item.next_row(), item.attempts))
        return tuple(forwards)

    def _next(self, now_ms: int) -> Item | None:
        """Fresh ones and owed ones in turn: neither keeps the other from the shop."""
        self._is_owed_turn = not self._is_owed_turn
        if self._is_owed_turn:
            return self._next_owed(now_ms) or self._next_fresh()
        return self._next_fresh() or self._next_owed(now_ms)

    def _next_fresh(self) -> Item | None:
        while self._fresh:
            item = self._fresh.popleft()
            if item.state == State.WAITING and not self._parked(item):
                return item
        return None

    def _next_owed(self, now_ms: int) -> Item | None:
        while self._owed and self._owed[0][0] <= now_ms:
            due_ms, number = heappop(self._owed)
            item = self.items.get(number)
            if item is None or item.state != State.OWED or item.due_ms != due_ms:
                continue
            if not self.is_served(item.relay):
                self._aside[number] = item
            elif not self._parked(item):
                return item
        return None

    def _parked(self, item: Item) -> bool:
        """Let an item wait for its order's request that is at the shop."""
        waiting = self._busy.get(item.order) if item.order else None
        if waiting is None:
            return False
        waiting.append(item)
        return True

    def _release(self, order: str) -> None:
        for item in self._busy.pop(order, ()):
            if item.state == State.WAITING:
                self._fresh.append(item)
            elif item.state == State.OWED:
                heappush(self._owed, (item.due_ms, item.item))

    def _owe(self, item: Item, due_ms: int) -> None:
        item.due_ms = min(due_ms, item.deadline_ms)
        heappush(self._owed, (item.due_ms, item.item))

    def _hold(self, item: Item, now_ms: int) -> None:
        item.state = moved(item.kind, item.state, Input.HELD)
        if item.state == State.OWED:
            item.is_down = True
            self._owe(item, now_ms + retry_ms(item.item, 1))
        else:
            del self.items[item.item]

    def _hold_all(self, now_ms: int) -> tuple[int, ...]:
        """Nobody waits for a shop that is down: neither those in line nor those behind an order."""
        parked = [one for waiting in self._busy.values() for one in waiting]
        fresh = [one for one in (*self._fresh, *parked) if one.state == State.WAITING]
        self._fresh.clear()
        for item in fresh:
            self._hold(item, now_ms)
        return tuple(item.item for item in fresh)

    def _call_up(self, now_ms: int) -> None:
        """The shop is back: who waited for it comes next, in the order of arrival."""
        for item in self.items.values():
            if item.is_down and item.state == State.OWED:
                self._owe(item, now_ms)

    def _over(self, item: Item) -> int:
        item.state = moved(item.kind, item.state, Input.OVER)
        del self.items[item.item]
        return item.item

    def _forget_outdated(self) -> None:
        while self._owed:
            due_ms, number = self._owed[0]
            item = self.items.get(number)
            if item is not None and item.state == State.OWED and item.due_ms == due_ms:
                return
            heappop(self._owed)


def _delay_ms(item: Item, verdict: Verdict) -> int:
    """A body that was never sent does not wait for the one that was refused."""
    if item.untried and verdict != Verdict.DOWN:
        return 0
    return retry_ms(item.item, 1 if item.untried else item.attempts)
