"""What has been promised to buyers: budgets a day, and who had something lately.

Money is reserved before anything is asked of the shop. What waits counts until it is sent or given
up, what was sent counts for a day, and what may have been given counts as given. So whatever the
order of events, what leaves in any 24 hours is at most the budget. The ledger is keyed by action:
taking in the same action twice changes nothing.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from monitor.model.ids import digest
from monitor.model.playbooks import Action, ActionState, CouponStep, ResolveStep
from monitor.model.times import DAY_MS

BUYERS_MAX = 50_000  # who had a coupon; with more, nobody new gets one before the oldest is old
ONCE_MAX_MS = 365 * DAY_MS
# Answers after which the shop has certainly given nothing.
GIVEN_BACK = ("refused", "already_delivered", "already_refunded")
_HELD_AS_SENT = (ActionState.SENT, ActionState.OPEN, ActionState.DONE, ActionState.WOULD)


class Entry(msgspec.Struct, frozen=True):
    """One action's money; pending ones have not left yet."""

    action_id: str
    key: str
    amount_minor: int
    at_ms: int
    is_pending: bool


class LedgerSnapshot(msgspec.Struct, frozen=True):
    """The ledger as plain data, in the order in which it came to be."""

    entries: tuple[Entry, ...] = ()
    buyers: tuple[tuple[str, int], ...] = ()


class Held(NamedTuple):
    """What an action holds: for which budget, how much, since when, and whether it is to be sent yet."""

    key: str
    amount_minor: int
    at_ms: int
    is_pending: bool


def budget_key(playbook: str, purpose: str, *, is_dry_run: bool) -> str:
    """Name a budget; dry runs have their own, so that they take nothing from what is real."""
    return f"{'would/' if is_dry_run else ''}{playbook}/{purpose}"


def buyer_key(customer_hash: str, *, is_dry_run: bool) -> str:
    """Name a buyer without the name."""
    return ("would/" if is_dry_run else "") + digest("buyer", customer_hash).hex()


def held_by(action: Action) -> Held | None:
    """What an action holds of a budget; None for nothing."""
    purpose = _PURPOSES.get(type(action.step))
    if purpose is None or not action.amount_minor:
        return None
    is_pending = action.state == ActionState.WAITING
    if not is_pending and action.state not in _HELD_AS_SENT:
        is_lost = action.sent_ms is not None and action.reason not in GIVEN_BACK
        if action.state == ActionState.SKIPPED or not is_lost:
            return None
    key = budget_key(action.playbook, purpose, is_dry_run=action.state == ActionState.WOULD)
    return Held(key, action.amount_minor, action.sent_ms or action.at_ms, is_pending)


_PURPOSES = {CouponStep: "coupon", ResolveStep: "fallback_cost"}


class Ledger:
    """Reservations by action, sums by budget, and buyers by when they had something."""

    def __init__(self, snapshot: LedgerSnapshot | None = None) -> None:
        snapshot = snapshot or LedgerSnapshot()
        self._pending: dict[str, Entry] = {}
        self._sent: dict[str, Entry] = {}  # the oldest first
        self._sums: dict[str, int] = {}
        self._buyers: dict[str, int] = dict(snapshot.buyers)
        for entry in snapshot.entries:
            self._put(entry)

    def take(self, action: Action, customer_hash: str | None, now_ms: int) -> None:
        """Take in an action as it is now."""
        held = held_by(action)
        entry = None if held is None else Entry(action.action_id, *held)
        known = self._entry(action.action_id)
        if entry != known:
            self._drop(action.action_id)
            if entry is not None:
                self._put(entry)
        # One that was never to be given must not take back what another order's buyer just got.
        is_money = entry is not None or known is not None
        if isinstance(action.step, CouponStep) and customer_hash is not None and is_money:
            self._note_buyer(action, customer_hash, is_given=held is not None)
        self._prune(now_ms)

    def room(self, key: str, limit_minor: int, now_ms: int) -> int:
        """How much of a budget is left; may be negative after the budget was cut."""
        spent = self._sums.get(key, 0)
        for entry in self._sent.values():
            if entry.at_ms > now_ms - DAY_MS:
                break
            if entry.key == key:
                spent -= entry.amount_minor
        return limit_minor - spent

    def had_lately(self, buyer: str, span_ms: int, now_ms: int) -> bool:
        """Whether a buyer had something in the span; also when no more buyers can be remembered."""
        at_ms = self._buyers.get(buyer)
        if at_ms is None and len(self._buyers) >= BUYERS_MAX:
            at_ms = next(iter(self._buyers.values()))
        return at_ms is not None and at_ms > now_ms - span_ms

    def snapshot(self) -> LedgerSnapshot:
        """The whole ledger as plain data."""
        entries = (*self._sent.values(), *self._pending.values())
        return LedgerSnapshot(entries, tuple(self._buyers.items()))

    def _entry(self, action_id: str) -> Entry | None:
        return self._pending.get(action_id) or self._sent.get(action_id)

    def _put(self, entry: Entry) -> None:
        (self._pending if entry.is_pending else self._sent)[entry.action_id] = entry
        self._sums[entry.key] = self._sums.get(entry.key, 0) + entry.amount_minor

    def _drop(self, action_id: str) -> None:
        entry = self._pending.pop(action_id, None) or self._sent.pop(action_id, None)
        if entry is not None:
            self._sums[entry.key] -= entry.amount_minor
            if not self._sums[entry.key]:
                del self._sums[entry.key]

    def _note_buyer(self, action: Action, customer_hash: str, *, is_given: bool) -> None:
        buyer = buyer_key(customer_hash, is_dry_run=action.state == ActionState.WOULD)
        if is_given:
            self._buyers.setdefault(buyer, action.at_ms)
            if self._buyers[buyer] < action.at_ms:
                del self._buyers[buyer]  # so that the oldest stay in front
                self._buyers[buyer] = action.at_ms
        elif self._buyers.get(buyer) == action.at_ms:
            del self._buyers[buyer]

    def _prune(self, now_ms: int) -> None:
        while self._sent:
            entry = next(iter(self._sent.values()))
            if entry.at_ms > now_ms - DAY_MS:
                break
            self._drop(entry.action_id)
        while self._buyers:
            buyer, at_ms = next(iter(self._buyers.items()))
            if at_ms > now_ms - ONCE_MAX_MS and len(self._buyers) <= BUYERS_MAX:
                break
            del self._buyers[buyer]
